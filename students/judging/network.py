"""Normalises pixels for a student, and switches its network to eval mode and back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from students.families.spec import StudentSpec

if TYPE_CHECKING:
    import torch
    from torch import nn


def normalised(pixels: NDArray[np.uint8], spec: StudentSpec, device: str) -> "torch.Tensor":
    """Pixels (n, h, w, 3) as a student's input (n, 3, h, w): (pixel / 255 - mean) / std."""
    import torch

    from kdcache.networks.pixels import normalised as by_numbers

    mean, std = (torch.tensor(three, device=device).view(1, 3, 1, 1) for three in (spec.mean, spec.std))
    return by_numbers(torch.from_numpy(pixels), mean, std, channels_last=True)


@contextmanager
def at_rest(network: "nn.Module") -> Iterator[None]:
    """Context with the network in eval mode; afterwards each module has its previous mode (some may have been frozen).

    In eval mode timm's TinyViT caches attention biases until its mode is set again (in some versions: until `train()` is called).
    A running average is always in eval mode; without the calls here it would be judged with the biases of its first validation.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.train().eval()
    try:
        yield
    finally:
        network.train()
        for module, training in modes:
            module.training = training
