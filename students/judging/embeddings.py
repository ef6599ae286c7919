"""What the tasks on embeddings share: the bank they compare with, the check of both, and what a report says of it."""

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
    """What may be chosen of a task that compares images with others."""

    bank: str | Annotated[int, Field(ge=1, le=STEPS)] | None = None
    """Images to compare with: a source, `train-split` for the training split beside the judged images, a number of training
    images, or None: the training split beside the images that were named, else the training images."""


class Reading(Strict):
    """How many were named right."""

    top1: float
    interval: tuple[float, float]
    """95 % interval of top-1 (Wilson)."""


class ReadReport(Strict):
    """What came of naming images by their embeddings. Its subclasses say by which task."""

    about: Compared
    marks: Reading
    seed: int
    """Seed of the bank split that selects the probe's ridge penalty."""
    precision: Precision
    device: str
    seconds: float


def check_both(examples: Examples, bank: Any) -> None:
    """Images and bank have the same classes, and no image is in both."""
    check_bank(examples.images, examples.bank(bank))


def look(student: Judged, examples: Examples, bank: Any, progress: Progress) -> Embedded:
    """The embeddings of images and bank."""
    asked, known = (examples.pictures(of, student) for of in (examples.images, examples.bank(bank)))
    return look_at_both(student, asked, known, progress=progress)


def about(facts: Compared, **more: Any) -> dict[str, Any]:
    """The subject of a report."""
    return {"data": facts.data, "fingerprint": facts.fingerprint, "bank": facts.bank_fingerprint, **more}


def shown(
    task: str,
    facts: Compared,
    seconds: float,
    device: str,
    pairs: tuple[tuple[str, str], ...],
    table: Table | None = None,
) -> Shown:
    """A report on embeddings as a reader sees it."""
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
    """Of a task that names each image once."""
    marks = report.marks
    top1 = ("top-1", f"{marks.top1:.2%}, {interval(marks.interval)}")
    return shown(task, report.about, report.seconds, report.device, (top1,))
