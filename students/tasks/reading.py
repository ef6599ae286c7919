"""What can be read off frozen embeddings: by a linear probe, and by a vote of the nearest.

Input: embeddings of images to name and of labelled others. Output: the share that is named right.
"""

from typing import Literal

import numpy as np
import torch

from kdcache.base.strict import Strict
from kdcache.errors import UsageError
from students.base.types import Precision
from students.tasks.features import Compared, Embedded
from students.tasks.interval import wilson
from students.tasks.neighbours import nearest

VOTERS = 20
HEAT = 0.07
"""a vote weighs exp(cosine / HEAT): k = 20 and 0.07 as in DINO's evaluation (arXiv 2104.14294, section 4)"""


class Reading(Strict):
    """How many were named right."""

    top1: float
    interval: tuple[float, float]
    """95 %, Wilson"""


class ReadReport(Strict):
    """What came of an evaluation."""

    task: Literal["probe", "knn"]
    about: Compared
    marks: Reading
    seed: int
    """of the share of the bank that chooses the ridge of a probe"""
    precision: Precision
    device: str
    seconds: float


def probe(seen: Embedded, *, seed: int) -> Reading:
    """A linear probe fitted on the bank; a tenth of it chooses the ridge, another tenth is not used."""
    from kdcache.teachers.heads.fit import fit_head

    count = int(max(seen.labels.max(), seen.bank_labels.max())) + 1
    names = [str(number) for number in range(count)]
    try:
        head = fit_head(seen.bank, seen.bank_labels.astype(np.int32), names, seed=seed)
    except UsageError as error:  # its hint is of another command
        raise UsageError(error.message, hint="name more images with --bank: some dozens of each class") from error
    return _reading(head(seen.queries).argmax(1), seen)


def vote(seen: Embedded) -> Reading:
    """The class most of the nearest of the bank are of, the nearer the weightier."""
    cosines, rows = nearest(seen.queries, seen.bank, VOTERS)
    labels = torch.from_numpy(seen.bank_labels).to(rows.device)[rows]
    votes = torch.zeros(len(rows), int(seen.bank_labels.max()) + 1, device=rows.device)
    votes.scatter_add_(1, labels, ((cosines - 1) / HEAT).exp())
    return _reading(votes.argmax(1), seen)


def _reading(guesses: torch.Tensor, seen: Embedded) -> Reading:
    right = int((guesses.cpu() == torch.from_numpy(seen.labels)).sum())
    return Reading(top1=right / len(seen.labels), interval=wilson(right, len(seen.labels)))
