"""Zero-shot retrieval: do the images nearest to an image have its class? Nothing is fitted.

Input: embeddings of query images and of a bank of other images. Output: the fraction of queries whose class is that of the
nearest image, of any of the nearest three, and of all three; in both directions.
"""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from kdcache.base.strict import Strict
from students.base.task import Measure, Shown, Table
from students.base.types import Precision
from students.judging.embeddings import BankSettings, BankTask, shown
from students.judging.features import Compared, Embedded
from students.judging.interval import wilson
from students.judging.pictures import Rows

if TYPE_CHECKING:
    from torch import Tensor

NEAR = 3
"""Number of nearest images that are compared."""


class Retrieved(Strict):
    """Scores in one direction."""

    queries: int
    top1: float
    interval: tuple[float, float]
    """95 % interval of top-1 (Wilson)."""
    top3: float
    """Fraction of queries with at least one of the nearest three in the same class."""
    top3_all: float
    """Fraction of queries with all of the nearest three in the same class."""


class Retrieval(Strict):
    """Scores in both directions."""

    found: Retrieved
    """Scores with the images as queries and the bank as the searched set."""
    inverse: Retrieved
    """Scores with the bank as queries and the images as the searched set."""

    @property
    def mean(self) -> float:
        """Mean of top-1 and top-3 in both directions, which selects the best checkpoint."""
        ways = (self.found, self.inverse)
        return sum(way.top1 + way.top3 for way in ways) / (2 * len(ways))


class RetrieveReport(Strict):
    """Report of the task `retrieve`."""

    task: Literal["retrieve"] = "retrieve"
    about: Compared
    marks: Retrieval
    precision: Precision
    device: str
    seconds: float


class Retrieve(BankTask[RetrieveReport]):
    """The task `retrieve`."""

    name = "retrieve"
    description = "whether the nearest images of the bank have the same class, and the other way round"
    report = RetrieveReport
    measure = Measure("retrieval")
    curves: ClassVar = {"top1": "nearest of the same class", "top3": "one of the nearest three"}

    def compared(self, seen: Embedded, settings: BankSettings) -> dict[str, Any]:
        """Search in both directions."""
        return {"marks": retrieve(seen)}

    def score(self, report: RetrieveReport) -> float:
        """The mean of top-1 and top-3 in both directions."""
        return report.marks.mean

    def numbers(self, report: RetrieveReport) -> dict[str, float]:
        """Top-1 and top-3 in both directions."""
        one, other = report.marks.found, report.marks.inverse
        inverse = {"inverse_top1": other.top1, "inverse_top3": other.top3}
        return {"top1": one.top1, "top3": one.top3, **inverse, "images": one.queries}

    def show(self, report: RetrieveReport) -> Shown:
        """The report, ready to be shown: one row per direction."""
        ways = (("images in the bank", report.marks.found), ("bank in the images", report.marks.inverse))
        rows = tuple(
            (
                name,
                f"{way.top1:.2%} ({way.interval[0]:.1%} to {way.interval[1]:.1%})",
                f"{way.top3:.2%}",
                f"{way.top3_all:.2%}",
            )
            for name, way in ways
        )
        table = Table(("searched", "nearest", "one of three", "all three"), rows, numbers=(1, 2, 3))
        mean = ("retrieval", f"{report.marks.mean:.2%}, the mean of nearest and one of three in both directions")
        return shown(self.name, report.about, report.seconds, report.device, (mean,), table)


def retrieve(seen: Embedded) -> Retrieval:
    """Search the bank for the images, and the images for the bank."""
    return Retrieval(
        found=searched(seen.queries, seen.labels, seen.bank, seen.bank_labels),
        inverse=searched(seen.bank, seen.bank_labels, seen.queries, seen.labels),
    )


def searched(queries: "Tensor", labels: Rows, bank: "Tensor", bank_labels: Rows) -> Retrieved:
    """Search the bank for each query."""
    import torch

    from students.judging.neighbours import nearest

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


TASK = Retrieve()
