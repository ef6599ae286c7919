"""Few-shot episodes: draws the images of each, and measures the accuracy of its head.

Input: features and labels. Output: mean accuracy over the episodes with its 95 % interval, for a number of shots. An episode
depends on (seed, shots, episode number) alone: the first ten of 600 are the same as in a run with ten.
"""

from typing import TYPE_CHECKING

import numpy as np

from kdcache.base.dice import Dice
from kdcache.base.progress import Progress
from kdcache.base.strict import Strict
from kdcache.errors import UsageError
from students.judging.interval import half_width
from students.judging.pictures import Rows
from students.tasks.few_shot.numbers import FewShot

if TYPE_CHECKING:
    from torch import Tensor

EPISODES = 0xFE357
"""Key that makes the random numbers for episodes differ from those for other purposes."""


class ShotMarks(Strict):
    """Result of all episodes with one number of shots."""

    shots: int
    accuracy: float
    """Mean accuracy over the episodes."""
    half_width: float
    """Half width of the 95 % interval of `accuracy`: 1.96 standard deviations / sqrt(episodes)."""
    classes: int
    """Number of classes that have enough images to be drawn."""


def measure(
    features: "Tensor", labels: Rows, settings: FewShot, shots: int, *, seed: int, progress: Progress, name: str
) -> ShotMarks:
    """Run all episodes with one number of shots."""
    from students.tasks.few_shot.heads import right_answers

    classes = drawable_classes(labels, settings, shots, name)
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
    """Rows of support and query images, ordered by class: (episodes, way * shots) and (episodes, way * queries)."""
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


def drawable_classes(labels: Rows, settings: FewShot, shots: int, name: str) -> Rows:
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
    """Hint: the largest episode that these images allow."""
    if len(counts) < settings.way:
        fewer = f"--set way={len(counts)}, or " if len(counts) > 1 else ""
        return f"{fewer}give images of more classes"
    has = int(np.sort(counts)[-settings.way])  # images of the smallest class that must be drawn
    if has > settings.queries:
        return f"--shots {has - settings.queries} at most, or give more images per class"
    if has > 1:
        return f"with {has} images per class: --shots 1 --set queries={has - 1}; or give more images per class"
    return "give more images per class"
