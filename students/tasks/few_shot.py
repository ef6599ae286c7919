"""How well a student's features serve classes it never saw: N-way few-shot episodes on a frozen backbone.

Input: a student and a labelled source. Every image is looked at once; then each episode draws some classes, a few support
images of each, fits a linear head on their features, and is asked about other images. Output: mean accuracy over the
episodes with its 95 % interval, for each number of shots.

Episodes are drawn by (seed, shots, episode): the first ten of 600 are those of a run with ten.
"""

import time
from typing import Any, Literal

import numpy as np
from torch import Tensor

from kdcache.base.dice import Dice
from kdcache.base.progress import Progress
from kdcache.base.strict import Strict
from kdcache.errors import UsageError
from kdcache.views.recipe import on
from students.base.types import Precision
from students.families.spec import StudentSpec
from students.tasks.episode_heads import right_answers
from students.tasks.features import look_once
from students.tasks.few_shot_numbers import FewShot
from students.tasks.interval import half_width
from students.tasks.pictures import Labelled, Pictures, Rows

EPISODES = 0xFE357


class ShotMarks(Strict):
    """All episodes with one number of shots."""

    shots: int
    accuracy: float
    """mean over the episodes"""
    half_width: float
    """of its 95 % interval: 1.96 standard deviations / sqrt(episodes)"""
    classes: int
    """that have enough images to be drawn"""


class FewShotReport(Strict):
    """What came of the episodes."""

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


def few_shot(
    network: Any,
    spec: StudentSpec,
    images: Labelled,
    settings: FewShot,
    *,
    seed: int,
    device: str,
    workers: int,
    batch: int,
    precision: Precision,
    progress: Progress,
) -> FewShotReport:
    """Measure a student's features on labelled images of any classes; UsageError when too few classes have enough images.

    `network` is on `device`.
    """
    started = time.perf_counter()
    for shots in settings.shots:
        _drawable(images.labels, settings, shots, images.source.name)
    geometry = on(settings.geometry, spec.geometry.background)
    pictures = Pictures(images, spec, workers=workers, batch=batch, geometry=geometry)
    with pictures:
        features, labels = look_once(network, pictures, device=device, precision=precision, progress=progress)
    marks = tuple(
        measure(features, labels, settings, shots, seed=seed, progress=progress, name=images.source.name)
        for shots in settings.shots
    )
    return FewShotReport(
        data=images.source.name,
        fingerprint=images.fingerprint,
        images=len(labels),
        unlabelled=images.unlabelled,
        rejected=pictures.rejected,
        seed=seed,
        settings=settings,
        marks=marks,
        precision=precision,
        device=device,
        seconds=time.perf_counter() - started,
    )


def measure(
    features: Tensor, labels: Rows, settings: FewShot, shots: int, *, seed: int, progress: Progress, name: str
) -> ShotMarks:
    """All episodes with one number of shots."""
    classes = _drawable(labels, settings, shots, name)
    support, queries = draw_episodes(labels, classes, settings, shots, seed)
    progress.start(f"{shots} shots", support.size * settings.epochs)
    right = right_answers(features, support, queries, settings, seed=seed, progress=progress)
    progress.finish()
    accuracies = right.mean(1)
    return ShotMarks(
        shots=shots,
        accuracy=float(accuracies.mean()),
        half_width=half_width(accuracies),
        classes=len(classes),
    )


def draw_episodes(labels: Rows, classes: Rows, settings: FewShot, shots: int, seed: int) -> tuple[Rows, Rows]:
    """Rows of the support and of the query images of every episode, class by class: (episodes, way * shots or queries)."""
    rows_of = [np.flatnonzero(labels == number) for number in classes]
    support = np.empty((settings.episodes, settings.way, shots), np.int64)
    queries = np.empty((settings.episodes, settings.way, settings.queries), np.int64)
    for episode in range(settings.episodes):
        dice = Dice(seed, episode, shots, EPISODES)
        for place, number in enumerate(_shuffled(dice, len(classes))[: settings.way]):
            rows = rows_of[number]
            drawn = rows[_shuffled(dice, len(rows))[: shots + settings.queries]]
            support[episode, place], queries[episode, place] = drawn[:shots], drawn[shots:]
    return support.reshape(settings.episodes, -1), queries.reshape(settings.episodes, -1)


def _shuffled(dice: Dice, count: int) -> Rows:
    return np.argsort(dice.words(count), kind="stable")


def _drawable(labels: Rows, settings: FewShot, shots: int, name: str) -> Rows:
    """The classes with enough images for an episode."""
    numbers, counts = np.unique(labels, return_counts=True)
    wanted = shots + settings.queries
    enough = numbers[counts >= wanted]
    if len(enough) < settings.way:
        raise UsageError(
            f"{settings.way} classes with {wanted} images each are needed for {shots} shots and {settings.queries} queries; "
            f"{name} has {len(enough)} such classes of {len(numbers)}",
            hint=_way_out(counts, settings),
        )
    return enough


def _way_out(counts: Rows, settings: FewShot) -> str:
    """What these images are enough for."""
    if len(counts) < settings.way:
        fewer = f"--set way={len(counts)}, or " if len(counts) > 1 else ""
        return f"{fewer}give images of more classes"
    has = int(np.sort(counts)[-settings.way])  # images of the last class that must be drawn
    if has > settings.queries:
        return f"--shots {has - settings.queries} at most, or give more images a class"
    if has > 1:
        return f"with {has} images a class: --shots 1 --set queries={has - 1}; or give more images a class"
    return "give more images a class"
