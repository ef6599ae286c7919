"""The task `classify`: top-1 and top-5, loss, calibration error and confusion matrix."""

import time
from pathlib import Path
from typing import Any

from kdcache.base.progress import Progress
from kdcache.base.strict import Strict
from students.base.task import Measure, Shown
from students.base.types import LOGITS
from students.judging.examples import Examples
from students.judging.interval import wilson
from students.judging.judged import Judged
from students.judging.pictures import Pictures
from students.tasks.classify.real import RealLabels, RealScores
from students.tasks.classify.report import ClassMarks, Report, shown
from students.tasks.classify.scores import Confusion, Scores


class Settings(Strict):
    """Settings of the task."""

    real: str | None = None
    """File of reassessed ImageNet labels (real.json), for a second accuracy; None: only the images' own classes count."""


class Classify:
    """The task `classify`."""

    name = "classify"
    description = "top-1 and top-5, loss, calibration error and confusions; classes are matched by name"
    settings = Settings
    report = Report
    head = LOGITS
    truths = ("class",)
    measure = Measure("top-1")
    curves = {"top1": "top-1", "top5": "top-5"}

    def check(self, student: Judged, examples: Examples, settings: Settings) -> None:
        """Refuses images with classes that the student does not have, and reassessed labels that do not fit."""
        images = examples.images.named_by(student.spec)
        if settings.real is not None:
            RealLabels.read(Path(settings.real)).of(images)

    def judge(self, student: Judged, examples: Examples, settings: Settings, progress: Progress) -> Report:
        """Classify every image."""
        started = time.perf_counter()
        images = examples.images.named_by(student.spec)
        real = None if settings.real is None else RealScores(RealLabels.read(Path(settings.real)).of(images))
        pictures, scores = examples.pictures(images, student), Scores(len(student.spec.classes))
        with student.at_rest():
            for rows, logits in pictures.look(student.ask(LOGITS), progress=progress):
                guesses = scores.add(logits, images.labels[rows])
                if real:
                    real.add(rows, guesses)
        return _report(student, pictures, scores, real, started)

    def score(self, report: Report) -> float:
        """Top-1."""
        return report.top1

    def numbers(self, report: Report) -> dict[str, float]:
        """Accuracies and the loss."""
        return {"top1": report.top1, "top5": report.top5, "loss": report.loss, "images": report.images}

    def subject(self, report: Report) -> dict[str, Any]:
        """The images and the precision. A report with reassessed labels has another subject than one without."""
        data = f"{report.data}-real" if report.real else report.data
        return {"data": data, "fingerprint": report.fingerprint, "precision": report.precision}

    def show(self, report: Report) -> Shown:
        """The report, ready to be shown."""
        return shown(report)


def _report(student: Judged, pictures: Pictures, scores: Scores, real: RealScores | None, started: float) -> Report:
    images, names = pictures.images, student.spec.classes
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
        precision=student.precision,
        device=student.device,
        seconds=time.perf_counter() - started,
    )


def _by_class(confusion: tuple[Confusion, ...], names: tuple[str, ...]) -> tuple[ClassMarks, ...]:
    seen: dict[int, list[int]] = {}
    for cell in confusion:
        counts = seen.setdefault(cell.true, [0, 0])
        counts[0] += cell.images
        counts[1] += cell.images * (cell.true == cell.guessed)
    return tuple(ClassMarks(number=n, name=names[n], images=i, right=r) for n, (i, r) in seen.items())


TASK = Classify()
