"""Report of the task `classify`, and how it is shown."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from kdcache.base.figures import duration
from kdcache.base.strict import Strict
from students.base.task import Bar, BarChart, Shown, Table
from students.base.types import Precision
from students.judging.shown import interval, left_out
from students.tasks.classify.real import RealMarks
from students.tasks.classify.scores import Bin, Confusion, Count

CONFUSED = 5
"""Number of most frequent confusions shown on a terminal."""
MORE_CONFUSED, WEAKEST = 12, 8
"""Numbers of confusions and of weakest classes shown on a page."""


class ClassMarks(Strict):
    """Accuracy on the images of one class."""

    number: int
    name: str
    images: Annotated[int, Field(ge=1)]
    right: Count


class Report(Strict):
    """Report of the task `classify`."""

    task: Literal["classify"] = "classify"
    data: str
    """Name of the image source."""
    fingerprint: str
    matched: str
    """Rule by which the images' classes were matched with the student's."""
    images: int
    unlabelled: int
    """Number of images left out because their class is unknown."""
    rejected: dict[str, str]
    """Image id -> why it could not be read."""
    top1: float
    interval: tuple[float, float]
    """95 % interval of top-1 (Wilson)."""
    top5: float
    loss: float
    calibration_error: float
    bins: Annotated[tuple[Bin, ...], Field(min_length=1)]
    classes: tuple[ClassMarks, ...]
    """Scores of the classes that have images, by class number."""
    names: tuple[str, ...]
    """Student's class names by number."""
    confusion: tuple[Confusion, ...]
    """Non-zero cells of the confusion matrix, by class number."""
    real: RealMarks | None = None
    """Scores against the reassessed labels, if they were given."""
    precision: Precision
    device: str
    seconds: float

    @model_validator(mode="after")
    def _names_its_classes(self) -> Self:
        if any(max(cell.true, cell.guessed) >= len(self.names) for cell in self.confusion):
            raise ValueError(
                f"class numbers of the confusion matrix must be below {len(self.names)}, the number of classes"
            )
        return self

    def most_confused(self, count: int) -> list[tuple[str, str, int]]:
        """(true class, guess, images) of the most frequent mistakes."""
        wrong = sorted((c for c in self.confusion if c.true != c.guessed), key=lambda c: (-c.images, c.true, c.guessed))
        return [(self.names[c.true], self.names[c.guessed], c.images) for c in wrong[:count]]


def shown(report: Report) -> Shown:
    """The report, ready to be shown: accuracies, most frequent confusions, calibration."""
    pairs = [
        ("images", f"{report.images:,} of {report.data}, classes matched {report.matched}"),
        ("top-1", f"{report.top1:.2%}, {interval(report.interval)}"),
        ("top-5", f"{report.top5:.2%}"),
    ]
    if report.real:
        of = f"{report.real.images:,} images that have labels"
        pairs.append(("reassessed labels", f"{report.real.top1:.2%} of {of}, {interval(report.real.interval)}"))
    speed = f", {report.images / report.seconds:,.0f} images/s" if report.seconds else ""
    pairs += [
        ("loss", f"{report.loss:.4f}"),
        ("calibration error", f"{report.calibration_error:.4f}"),
        ("took", f"{duration(report.seconds)}{speed} on {report.device}"),
    ]
    few, more = (_confused(report, count) for count in (CONFUSED, MORE_CONFUSED))
    return Shown(
        title=f"classify: {report.data}" + (", reassessed labels" if report.real else ""),
        pairs=tuple(pairs),
        tables=(few,) if few.rows else (),
        details=((more,) if len(more.rows) > len(few.rows) else ()) + (_weakest(report),),
        charts=(_calibration(report),),
        warnings=left_out(report.unlabelled),
        rejected=report.rejected,
    )


def _confused(report: Report, count: int) -> Table:
    rows = tuple((true, guess, f"{images:,}") for true, guess, images in report.most_confused(count))
    return Table(("true class", "predicted class", "images"), rows, title="most confused", numbers=(2,))


def _weakest(report: Report) -> Table:
    weakest = sorted(report.classes, key=lambda c: (c.right / c.images, c.number))[:WEAKEST]
    rows = tuple((c.name, f"{c.right / c.images:.0%}", f"{c.right:,} of {c.images:,}") for c in weakest)
    return Table(("class", "right", "images"), rows, title="weakest classes", numbers=(1, 2))


def _calibration(report: Report) -> BarChart:
    """The calibration chart: accuracy of predictions, grouped by their probability."""
    most = max(b.images for b in report.bins) or 1
    bars = tuple(
        Bar(
            b.accuracy,
            b.images / most,
            f"{b.images:,} images, mean probability {b.confidence:.1%}, right {b.accuracy:.1%}",
        )
        for b in report.bins
    )
    return BarChart(
        title=f"Accuracy by predicted probability (calibration error {report.calibration_error:.3f})",
        bars=bars,
        axis="probability of the most likely class",
        note="Darker bars hold more images. Bars that end on the diagonal are calibrated: accuracy equals probability.",
        diagonal=True,
    )
