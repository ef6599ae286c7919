"""The task `few-shot`: N-way few-shot episodes on frozen features, for classes the student was not trained on.

Features are computed once; then each episode draws some classes and a few support images of each, fits a linear head on
their features, and classifies other images with it (episodes.py).
"""

import time
from typing import Any, Literal

from kdcache.base.figures import duration
from kdcache.base.progress import Progress
from kdcache.base.strict import Strict
from kdcache.views.recipe import on
from students.base.task import Measure, Shown, Table
from students.base.types import Precision
from students.judging.examples import Examples
from students.judging.judged import EMBEDDING, Judged
from students.judging.shown import left_out
from students.tasks.few_shot.episodes import ShotMarks, drawable_classes, measure
from students.tasks.few_shot.numbers import FewShot


class Settings(FewShot):
    """Settings of the benchmark, and the seed of the episodes."""

    seed: int = 0
    """Seed for the classes and images that episodes draw."""


class FewShotReport(Strict):
    """Report of the task `few-shot`."""

    task: Literal["few-shot"] = "few-shot"
    data: str
    fingerprint: str
    images: int
    unlabelled: int
    rejected: dict[str, str]
    seed: int
    settings: FewShot
    marks: tuple[ShotMarks, ...]
    precision: Precision
    device: str
    seconds: float


class FewShotTask:
    """The task `few-shot`."""

    name = "few-shot"
    description = "a linear head on frozen features, 600 episodes of 5 classes; any labelled images"
    settings = Settings
    report = FewShotReport
    head = EMBEDDING
    truths = ("class",)
    measure = Measure("few-shot")
    curves: dict[str, str] = {}

    def check(self, student: Judged, examples: Examples, settings: Settings) -> None:
        """Refuses images that are too few for an episode."""
        for shots in settings.shots:
            drawable_classes(examples.images.labels, settings, shots, examples.images.source.name)

    def judge(self, student: Judged, examples: Examples, settings: Settings, progress: Progress) -> FewShotReport:
        """Compute features once, then run the episodes for each number of shots."""
        started, images = time.perf_counter(), examples.images
        self.check(student, examples, settings)
        geometry = on(settings.geometry, student.spec.geometry.background)
        features, labels, rejected = examples.features(student, images, progress=progress, geometry=geometry)
        name, seed = images.source.name, settings.seed
        numbers = FewShot.from_plain({k: v for k, v in settings.plain().items() if k != "seed"})
        marks = tuple(
            measure(features, labels, numbers, shots, seed=seed, progress=progress, name=name)
            for shots in numbers.shots
        )
        return FewShotReport(
            data=name,
            fingerprint=images.fingerprint,
            images=len(labels),
            unlabelled=images.unlabelled,
            rejected=rejected,
            seed=seed,
            settings=numbers,
            marks=marks,
            precision=student.precision,
            device=student.device,
            seconds=time.perf_counter() - started,
        )

    def score(self, report: FewShotReport) -> float:
        """Mean accuracy over the numbers of shots."""
        return sum(marks.accuracy for marks in report.marks) / len(report.marks)

    def numbers(self, report: FewShotReport) -> dict[str, float]:
        """Accuracy for each number of shots."""
        return {**{f"shots{marks.shots}": marks.accuracy for marks in report.marks}, "images": report.images}

    def subject(self, report: FewShotReport) -> dict[str, Any]:
        """The images, the settings of the benchmark, seed and precision."""
        settled = {"settings": report.settings.plain(), "seed": report.seed}
        return {"data": report.data, "fingerprint": report.fingerprint, "precision": report.precision, **settled}

    def show(self, report: FewShotReport) -> Shown:
        """The report, ready to be shown: one row for each number of shots."""
        numbers = report.settings
        rows = tuple((f"{m.shots}", f"{m.accuracy:.2%} ± {m.half_width:.2%}", f"{m.classes:,}") for m in report.marks)
        episodes = (
            f"{numbers.episodes:,} of {numbers.way} classes, {numbers.queries} queries a class, seed {report.seed}"
        )
        return Shown(
            title=f"few-shot: {report.data}",
            pairs=(
                ("images", f"{report.images:,} of {report.data}"),
                ("episodes", episodes),
                ("took", f"{duration(report.seconds)} on {report.device}"),
            ),
            tables=(Table(("shots", "accuracy", "classes"), rows, numbers=(0, 1, 2)),),
            warnings=left_out(report.unlabelled),
            rejected=report.rejected,
        )


TASK = FewShotTask()
