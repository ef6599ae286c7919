"""How well a student names images: `evaluate` for labelled images, `judge` for pictures a trainer keeps open."""

import time
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from torch import nn

from kdcache.base.progress import Progress
from kdcache.base.strict import Strict
from students.base.types import Precision
from students.families.spec import StudentSpec
from students.tasks.interval import wilson
from students.tasks.pictures import Labelled, Pictures, at_rest
from students.tasks.real import RealLabels, RealMarks, RealScores
from students.tasks.scores import Bin, Confusion, Count, Scores


class ClassMarks(Strict):
    """One class of the images."""

    number: int
    name: str
    images: Annotated[int, Field(ge=1)]
    right: Count


class Report(Strict):
    """What came of an evaluation."""

    task: Literal["classify"] = "classify"
    data: str
    """name of the image source"""
    fingerprint: str
    matched: str
    """by which rule the images' classes were found among the student's"""
    images: int
    unlabelled: int
    """images left out because nobody knows their class"""
    rejected: dict[str, str]
    """image id -> why it could not be used"""
    top1: float
    interval: tuple[float, float]
    """of top-1: 95 %, Wilson"""
    top5: float
    loss: float
    calibration_error: float
    bins: Annotated[tuple[Bin, ...], Field(min_length=1)]
    classes: tuple[ClassMarks, ...]
    """those that have images, by number"""
    names: tuple[str, ...]
    """the student's class names by number"""
    confusion: tuple[Confusion, ...]
    """cells of the confusion matrix that are not 0, by class number"""
    real: RealMarks | None = None
    """against reassessed labels, when they were given"""
    precision: Precision
    device: str
    seconds: float

    @model_validator(mode="after")
    def _names_its_classes(self) -> Self:
        if any(max(cell.true, cell.guessed) >= len(self.names) for cell in self.confusion):
            raise ValueError(f"classes are confused that are none of {len(self.names)}")
        return self

    def most_confused(self, count: int) -> list[tuple[str, str, int]]:
        """(true class, guess, images) of the most frequent mistakes."""
        wrong = sorted((c for c in self.confusion if c.true != c.guessed), key=lambda c: (-c.images, c.true, c.guessed))
        return [(self.names[c.true], self.names[c.guessed], c.images) for c in wrong[:count]]


def evaluate(
    network: nn.Module,
    spec: StudentSpec,
    images: Labelled,
    *,
    device: str,
    workers: int,
    batch: int,
    precision: Precision,
    progress: Progress,
    real: RealLabels | None = None,
) -> Report:
    """Let a student name every one of these images."""
    named = images.named_by(spec)
    of_real = None if real is None else real.of(named)
    with Pictures(named, spec, workers=workers, batch=batch) as pictures:
        return judge(network, pictures, device=device, precision=precision, progress=progress, real=of_real)


def judge(
    network: nn.Module,
    pictures: Pictures,
    *,
    device: str,
    precision: Precision,
    progress: Progress,
    real: list[frozenset[int]] | None = None,
) -> Report:
    """Let a student name pictures that are open; `network` must be on `device`, and keeps the mode it is in."""
    started = time.perf_counter()
    scores = Scores(len(pictures.spec.classes))
    of_real = None if real is None else RealScores(real)
    with at_rest(network):
        for rows, logits in pictures.look(network, device=device, precision=precision, progress=progress):
            guesses = scores.add(logits, pictures.images.labels[rows])
            if of_real:
                of_real.add(rows, guesses)
    return _report(scores, pictures, of_real, precision=precision, device=device, started=started)


def _report(
    scores: Scores,
    pictures: Pictures,
    real: RealScores | None,
    *,
    precision: Precision,
    device: str,
    started: float,
) -> Report:
    images, names = pictures.images, pictures.spec.classes
    assert images.matching is not None, "the images still have class numbers of their own"
    confusion = scores.confusions()
    return Report(
        data=images.source.name,
        fingerprint=images.fingerprint,
        matched=images.matching.rule,
        images=scores.images,
        unlabelled=images.unlabelled,
        rejected=pictures.rejected,
        top1=scores.top1,
        interval=wilson(scores.right, scores.images),
        top5=scores.top5,
        loss=scores.loss,
        calibration_error=scores.calibration_error,
        bins=scores.bins(),
        classes=_by_class(confusion, names),
        names=names,
        confusion=confusion,
        real=real.marks() if real else None,
        precision=precision,
        device=device,
        seconds=time.perf_counter() - started,
    )


def _by_class(confusion: tuple[Confusion, ...], names: tuple[str, ...]) -> tuple[ClassMarks, ...]:
    seen: dict[int, list[int]] = {}
    for cell in confusion:
        counts = seen.setdefault(cell.true, [0, 0])
        counts[0] += cell.images
        counts[1] += cell.images * (cell.true == cell.guessed)
    return tuple(ClassMarks(number=n, name=names[n], images=i, right=r) for n, (i, r) in seen.items())
