"""Shared code of the tasks on embeddings: images and a bank are embedded, compared, and reported with the same fields.

A task of this shape is a `BankTask`, or a `ReadTask` where it predicts one class an image.
"""

import time
from abc import ABC, abstractmethod
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import Field

from kdcache.base.figures import duration
from kdcache.base.progress import Progress
from kdcache.base.strict import Strict
from students.base.limits import STEPS
from students.base.task import Measure, Shown, Table
from students.base.types import Precision
from students.judging.examples import Examples
from students.judging.features import Compared, Embedded, check_bank
from students.judging.judged import EMBEDDING, Judged
from students.judging.shown import interval, left_out


class BankSettings(Strict):
    """Settings of a task that compares images with a bank."""

    bank: str | Annotated[int, Field(ge=1, le=STEPS)] | None = None
    """Images to compare with: a source, `train-split` for the training split beside the judged images, or a number
    of training images. None: the training split beside the judged images if they were given, else the training
    images."""


class Reading(Strict):
    """Accuracy of a task that predicts one class per image."""

    top1: float
    interval: tuple[float, float]
    """95 % interval of top-1 (Wilson)."""


class ReadReport(Strict):
    """Report of a task that classifies images by their embeddings; each task has a subclass."""

    about: Compared
    marks: Reading
    seed: int
    """Seed for the bank split that selects the probe's ridge penalty."""
    precision: Precision
    device: str
    seconds: float


def look(student: Judged, examples: Examples, bank: Any, progress: Progress) -> Embedded:
    """Embed the judged images and the bank."""
    images, known = examples.images, examples.bank(bank)
    queries = examples.features(student, images, progress=progress)
    others = examples.features(student, known, progress=progress, stage="bank")
    facts = Compared(
        data=images.source.name,
        fingerprint=images.fingerprint,
        bank=known.source.name,
        bank_fingerprint=known.fingerprint,
        images=len(queries.labels),
        bank_images=len(others.labels),
        unlabelled=images.unlabelled + known.unlabelled,
        rejected=queries.rejected | others.rejected,
    )
    return Embedded(queries.values, queries.labels, others.values, others.labels, facts)


R = TypeVar("R", bound=Any)


class BankTask(ABC, Generic[R]):
    """A task that compares the embeddings of images with those of a bank."""

    report: type[R]
    settings: type[Strict] = BankSettings
    head = EMBEDDING
    truths = ("class",)

    @abstractmethod
    def compared(self, seen: Embedded, settings: Any) -> dict[str, Any]:
        """The fields of the report that are this task's own."""

    def check(self, student: Judged, examples: Examples, settings: Any) -> None:
        """Refuse a bank of other classes, or one that shares images with the judged set."""
        check_bank(examples.images, examples.bank(settings.bank))

    def judge(self, student: Judged, examples: Examples, settings: Any, progress: Progress) -> R:
        """Embed the images and the bank, and compare them."""
        started = time.perf_counter()
        seen = look(student, examples, settings.bank, progress)
        found: R = self.report(
            about=seen.facts,
            **self.compared(seen, settings),
            precision=student.precision,
            device=student.device,
            seconds=time.perf_counter() - started,
        )
        return found

    def subject(self, report: R) -> dict[str, Any]:
        """These images against this bank."""
        facts: Compared = report.about
        named = {"data": facts.data, "fingerprint": facts.fingerprint, "bank": facts.bank_fingerprint}
        return {**named, "precision": report.precision}


class ReadTask(BankTask[R]):
    """One that predicts one class an image. Its report is a `ReadReport`."""

    name: str
    measure = Measure("top-1")
    curves: ClassVar = {"top1": "top-1"}

    def score(self, report: R) -> float:
        """Top-1."""
        top1: float = report.marks.top1
        return top1

    def numbers(self, report: R) -> dict[str, float]:
        """Top-1."""
        return {"top1": report.marks.top1, "images": report.about.images}

    def show(self, report: R) -> Shown:
        """The report as a reader sees it."""
        top1 = ("top-1", f"{report.marks.top1:.2%}, {interval(report.marks.interval)}")
        return shown(self.name, report.about, report.seconds, report.device, (top1,))


def shown(
    task: str,
    facts: Compared,
    seconds: float,
    device: str,
    pairs: tuple[tuple[str, str], ...],
    table: Table | None = None,
) -> Shown:
    """A report on embeddings, ready to be shown."""
    return Shown(
        title=f"{task}: {facts.data}",
        pairs=(
            ("images", f"{facts.images:,} of {facts.data}"),
            ("bank", f"{facts.bank_images:,} of {facts.bank}"),
            *pairs,
            ("took", f"{duration(seconds)} on {device}"),
        ),
        tables=(table,) if table else (),
        warnings=left_out(facts.unlabelled),
        rejected=facts.rejected,
    )
