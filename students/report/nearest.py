"""Predictions for the samples of a student without classes: the classes of the training images nearest to a picture.

Input: a run, its network and pictures. Output: for each picture the classes of its nearest training images, and the cosines.
"""

from typing import TYPE_CHECKING

from numpy.typing import NDArray

from kdcache.base.progress import Silent
from students.judging.examples import few_of, same_images
from students.judging.features import look_once
from students.judging.judged import EMBEDDING, JudgedStudent
from students.judging.neighbours import nearest
from students.judging.pictures import Pictures
from students.runs.run import Run

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

BANK = 512
"""Number of training images that are searched: enough for a few pictures; `kd eval` computes exact scores."""
PIECE = 64


def nearest_classes(
    run: Run, network: "nn.Module", pixels: "NDArray[np.uint8]", count: int
) -> list[list[tuple[str, float]]]:
    """For each picture, (class, cosine) of the nearest images of the bank, nearest first."""
    spec, bank = run.record.student, few_of(same_images(run.record.dataset, owner="the run"), BANK)
    student = JudgedStudent(network, spec, "cpu", "float32", PIECE)
    assert bank.classes is not None, "only labelled images are searched"
    with Pictures(bank, spec, workers=0, batch=PIECE) as pictures:
        known, labels = look_once(student, pictures, progress=Silent())
    with student.at_rest():
        cosines, rows = nearest(student.ask(EMBEDDING)(pixels), known, count)
    return [
        [(bank.classes[labels[row]], float(cosine)) for row, cosine in zip(found, near, strict=True)]
        for found, near in zip(rows.tolist(), cosines, strict=True)
    ]
