"""What a student without classes has to show: whose training images it finds nearest to a picture.

Input: a run, its network and pictures. Output: for each picture the classes of the nearest, and how near they are.
"""

from typing import TYPE_CHECKING

import torch
from numpy.typing import NDArray

from kdcache.base.progress import Silent
from students.families.registry import head_of
from students.runs.run import Run
from students.tasks.features import look_once
from students.tasks.neighbours import nearest
from students.tasks.pictures import Pictures, at_rest, normalised
from students.tasks.while_training import bank_of

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

BANK = 512
"""training images that are searched: a page is about some pictures, a score is `kd eval`'s"""
PIECE = 64


def nearest_classes(
    run: Run, network: "nn.Module", pixels: "NDArray[np.uint8]", count: int
) -> list[list[tuple[str, float]]]:
    """(class, cosine) of the nearest images of the bank, nearest first."""
    spec, bank = run.record.student, bank_of(run.record.dataset, BANK)
    assert bank.classes is not None, "only labelled images are searched"
    with Pictures(bank, spec, workers=0, batch=PIECE) as pictures:
        known, labels = look_once(network, pictures, device="cpu", precision="float32", progress=Silent())
    with at_rest(network), torch.inference_mode():
        cosines, rows = nearest(head_of(spec, network, "embedding")(normalised(pixels, spec, "cpu")), known, count)
    return [
        [(bank.classes[labels[row]], float(cosine)) for row, cosine in zip(found, near, strict=True)]
        for found, near in zip(rows.tolist(), cosines, strict=True)
    ]
