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
            f"few-shot needs {settings.way} classes with {wanted} images each for {shots} shots and {settings.queries} queries; "
            f"{len(enough)} of the {len(numbers)} classes of {name} have so many",
            hint=_way_out(counts, settings),
        )
    return enough


def _way_out(counts: Rows, settings: FewShot) -> str:
    """Hint: options of the largest episode that these images allow, or what they lack."""
    drawable = np.sort(counts[counts > 1])  # one image to learn from and one to ask about
    way = min(settings.way, len(drawable))
    if way < 2:
        return "give images of more classes" if len(counts) < 2 else "give more images per class"
    has = int(drawable[-way])  # images of the smallest class that must be drawn
    queries = min(settings.queries, has - 1)
    shots = [each for each in settings.shots if each <= has - queries] or [has - queries]
    options = [f"--shots {','.join(map(str, shots))}"]
    options += [f"--set way={way}"] if way < settings.way else []
    options += [f"--set queries={queries}"] if queries < settings.queries else []
    lacks = "images of more classes" if len(counts) < settings.way else "more images per class"
    return f"{' '.join(options)} fits these images; or give {lacks}"
