"""Zero-shot retrieval: are the images nearest to an image of its class? Nothing is fitted.

Input: embeddings of images to ask about and of a memory bank of others. Output: the share of queries whose nearest image is of
their class, that have their class among the nearest three (any), and of whose nearest three all are; asked both ways round.
"""

from typing import Literal

import torch
from torch import Tensor

from kdcache.base.strict import Strict
from students.base.types import Precision
from students.tasks.features import Compared, Embedded
from students.tasks.interval import wilson
from students.tasks.neighbours import nearest
from students.tasks.pictures import Rows

NEAR = 3
"""how many of the nearest are looked at"""


class Retrieved(Strict):
    """One way round."""

    queries: int
    top1: float
    interval: tuple[float, float]
    """of top-1: 95 %, Wilson"""
    top3: float
    """any of the nearest three is of the class"""
    top3_all: float
    """all of them are"""


class Retrieval(Strict):
    """Both ways round."""

    found: Retrieved
    """images asked about, the bank searched"""
    inverse: Retrieved
    """the bank asked about, the images searched"""

    @property
    def mean(self) -> float:
        """Of top-1 and top-3, both ways: what drives the choice of a checkpoint."""
        ways = (self.found, self.inverse)
        return sum(way.top1 + way.top3 for way in ways) / (2 * len(ways))


class RetrieveReport(Strict):
    """What came of an evaluation."""

    task: Literal["retrieve"] = "retrieve"
    about: Compared
    marks: Retrieval
    precision: Precision
    device: str
    seconds: float


def retrieve(seen: Embedded) -> Retrieval:
    """Search each in the other."""
    return Retrieval(
        found=searched(seen.queries, seen.labels, seen.bank, seen.bank_labels),
        inverse=searched(seen.bank, seen.bank_labels, seen.queries, seen.labels),
    )


def searched(queries: Tensor, labels: Rows, bank: Tensor, bank_labels: Rows) -> Retrieved:
    """Search the bank for each query."""
    _, rows = nearest(queries, bank, NEAR)
    right = torch.from_numpy(bank_labels)[rows.cpu()].numpy() == labels[:, None]
    first = int(right[:, 0].sum())
    return Retrieved(
        queries=len(labels),
        top1=first / len(labels),
        interval=wilson(first, len(labels)),
        top3=float(right.any(1).mean()),
        top3_all=float(right.all(1).mean()),
    )
