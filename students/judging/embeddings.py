"""Shared code of the tasks on embeddings: the bank they compare with, its checks, and the common fields of reports."""

from typing import Annotated, Any

from pydantic import Field

from kdcache.base.figures import duration
from kdcache.base.progress import Progress
from kdcache.base.strict import Strict
from students.base.limits import STEPS
from students.base.task import Shown, Table
from students.base.types import Precision
from students.judging.examples import Examples
from students.judging.features import Compared, Embedded, check_bank, look_at_both
from students.judging.judged import Judged
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


def check_both(examples: Examples, bank: Any) -> None:
    """Refuse a bank of other classes, or one that shares images with the judged set."""
    check_bank(examples.images, examples.bank(bank))


def look(student: Judged, examples: Examples, bank: Any, progress: Progress) -> Embedded:
    """Embed the judged images and the bank."""
    queries, known = (examples.pictures(of, student) for of in (examples.images, examples.bank(bank)))
    return look_at_both(student, queries, known, progress=progress)


def about(facts: Compared, **more: Any) -> dict[str, Any]:
    """Fields that identify the subject of a report (`Task.subject`)."""
    return {"data": facts.data, "fingerprint": facts.fingerprint, "bank": facts.bank_fingerprint, **more}


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


def shown_reading(task: str, report: ReadReport) -> Shown:
    """The report of a task that predicts one class per image, ready to be shown."""
    marks = report.marks
    top1 = ("top-1", f"{marks.top1:.2%}, {interval(marks.interval)}")
    return shown(task, report.about, report.seconds, report.device, (top1,))
