"""The task `knn`: classification by a vote of the nearest images of a bank, on frozen embeddings."""

import time
from typing import Any, Literal

from kdcache.base.progress import Progress
from students.base.task import Measure, Shown
from students.judging.embeddings import (
    BankSettings,
    Reading,
    ReadReport,
    about,
    check_both,
    look,
    shown_reading,
)
from students.judging.examples import Examples
from students.judging.features import Embedded
from students.judging.interval import wilson
from students.judging.judged import EMBEDDING, Judged

VOTERS = 20
HEAT = 0.07
"""Temperature of the vote: a neighbour has the weight exp(cosine / HEAT). k = 20 and 0.07 as in DINO's evaluation
(arXiv 2104.14294, section 4)."""


class KnnReport(ReadReport):
    """Report of the task `knn`."""

    task: Literal["knn"] = "knn"


class Knn:
    """The task `knn`."""

    name = "knn"
    description = f"a vote of the nearest {VOTERS} of the bank"
    settings = BankSettings
    report = KnnReport
    head = EMBEDDING
    truths = ("class",)
    measure = Measure("top-1")
    curves = {"top1": "top-1"}

    def check(self, student: Judged, examples: Examples, settings: BankSettings) -> None:
        """Refuses a bank that does not fit the images."""
        check_both(examples, settings.bank)

    def judge(self, student: Judged, examples: Examples, settings: BankSettings, progress: Progress) -> KnnReport:
        """Classify each image by a vote of its nearest images in the bank."""
        started = time.perf_counter()
        seen = look(student, examples, settings.bank, progress)
        marks = vote(seen)
        return KnnReport(
            about=seen.facts,
            marks=marks,
            seed=0,  # nothing is drawn; kept because stored reports have the field
            precision=student.precision,
            device=student.device,
            seconds=time.perf_counter() - started,
        )

    def score(self, report: KnnReport) -> float:
        """Top-1."""
        return report.marks.top1

    def numbers(self, report: KnnReport) -> dict[str, float]:
        """Top-1."""
        return {"top1": report.marks.top1, "images": report.about.images}

    def subject(self, report: KnnReport) -> dict[str, Any]:
        """The images, the bank and the precision."""
        return about(report.about, precision=report.precision)

    def show(self, report: KnnReport) -> Shown:
        """The report, ready to be shown."""
        return shown_reading(self.name, report)


def vote(seen: Embedded) -> Reading:
    """Accuracy of the vote; a nearer image has a larger weight."""
    import torch

    from students.judging.neighbours import nearest

    cosines, rows = nearest(seen.queries, seen.bank, VOTERS)
    labels = torch.from_numpy(seen.bank_labels).to(rows.device)[rows]
    votes = torch.zeros(len(rows), int(seen.bank_labels.max()) + 1, device=rows.device)
    votes.scatter_add_(1, labels, ((cosines - 1) / HEAT).exp())
    right = int((votes.argmax(1).cpu() == torch.from_numpy(seen.labels)).sum())
    return Reading(top1=right / len(seen.labels), interval=wilson(right, len(seen.labels)))


TASK = Knn()
