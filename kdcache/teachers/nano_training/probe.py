"""Measure a self-supervised encoder with a linear probe and the nearest neighbour on its mean token.

Input: an embedding function, labelled pictures to fit on, others to measure on. Output: two accuracies.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from kdcache.images.shapes import CLASSES
from kdcache.networks.data2vec import Data2Vec
from kdcache.networks.data2vec_shape import Data2VecShape
from kdcache.signals.teacher import Preprocess
from kdcache.teachers.heads.fit import accuracy, fit_head
from kdcache.teachers.loading.networks import seeded
from kdcache.teachers.nano import NANO_DATA2VEC
from kdcache.teachers.nano_training.pictures import DrawnPictures, normalised

LOOKED_AT = 4_000
"""Number of pictures (the first of the training split) that the probe is fitted on and neighbours are taken from."""


@dataclass(frozen=True)
class Probed:
    """Accuracies on the held-out pictures."""

    linear: float
    nearest: float
    """Accuracy of giving each picture the class of its most similar training picture."""


def probed(embed: Callable[[Tensor], Tensor], pictures: DrawnPictures, held_out: DrawnPictures) -> Probed:
    """Fit on the first labelled pictures, measure on all held-out ones."""
    labels, wanted = pictures.labels[:LOOKED_AT], held_out.labels
    known, asked = embed(pictures.pixels[:LOOKED_AT]), embed(held_out.pixels)
    head = fit_head(known, labels.numpy().astype(np.int32), CLASSES, seed=0)
    std, mean = torch.std_mean(known, dim=0)
    alike = functional.normalize((asked - mean) / std) @ functional.normalize((known - mean) / std).T
    nearest = float((labels[alike.argmax(1)] == wanted).double().mean())
    return Probed(accuracy(head(asked), wanted), nearest)


def embedded(network: Data2Vec, pixels: Tensor, preprocess: Preprocess) -> Tensor:
    """The mean of all tokens of the last block, like the teacher's signal `embedding`."""
    with torch.no_grad():
        batches = (pixels[first : first + 250] for first in range(0, len(pixels), 250))
        return torch.cat([network(normalised(batch, preprocess)).final.mean(1) for batch in batches])


def untrained() -> Data2Vec:
    """The encoder with random weights, as a baseline."""
    with seeded():
        return Data2Vec(Data2VecShape.from_plain(NANO_DATA2VEC)).eval()
