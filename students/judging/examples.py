"""The images a student is judged on, and those a task compares them with: listed once, rendered by pools that stay open.

Input: labelled images, and how others are found. Output: an `Examples`, on which any task may be judged, again and again: a
trainer keeps it open while the training lasts.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from kdcache.errors import UsageError
from kdcache.images import Source, open_source
from kdcache.images.few import Few
from kdcache.images.splits import held_out, training_split
from kdcache.store.plan import Dataset
from kdcache.store.same_images import images_again
from kdcache.views.recipe import Plain
from students.judging.judged import Judged
from students.judging.pictures import Labelled, Pictures, labelled

TRAIN_SPLIT = "train-split"
"""The bank that is the training split beside the images that are judged."""
BANK_SEED = 0
"""Seed of the choice of training images that are searched."""
Bank = str | int | None
"""Images to compare with: a source, `train-split`, so many of the training images, or None for what fits."""


class Examples:
    """Images to judge on. Use it in a with statement where they are looked at."""

    def __init__(self, images: Labelled, bank: Callable[[Bank], Labelled], workers: int = 0) -> None:
        """`bank` finds the images that a setting of a task means."""
        self.images = images
        self._find, self._workers = bank, workers
        self._banks: dict[Bank, Labelled] = {}
        self._opened: dict[tuple[int, Plain], Pictures] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened = {}
        self._stack.close()

    def bank(self, wanted: Bank) -> Labelled:
        """The images that others are compared with; listed once."""
        if wanted not in self._banks:
            self._banks[wanted] = self._find(wanted)
        return self._banks[wanted]

    def pictures(self, images: Labelled, student: Judged, geometry: Plain | None = None) -> Pictures:
        """Images as a student sees them; opened once, and kept open."""
        key = (id(images.ids), geometry or student.spec.geometry)
        if key not in self._opened:
            opened = Pictures(images, student.spec, workers=self._workers, batch=student.batch, geometry=geometry)
            self._opened[key] = self._stack.enter_context(opened)
        return self._opened[key].of(images)


def same_images(dataset: Dataset, place: str | None = None, *, owner: str, option: str = "--data") -> Labelled:
    """The labelled images of a dataset, which must be those it was recorded with; `place`: where they lie now.

    The one check of images that were used before, in a training and after it: Drift where they have changed.
    """
    anew = f"name images with {option}: it is judged on those as they are" if option == "--data" else "start a new run"
    return labelled(*images_again(dataset, place, owner=owner, option=option, anew=anew))


def judged_source(place: str | Mapping[str, Any], bank: Bank, like: Mapping[str, Any]) -> Source:
    """The source a set is judged on: as it is named, but its held-out split where a training split is named that is the bank."""
    source = open_source(place, like=like)
    other = held_out(source.spec()) if bank == TRAIN_SPLIT else None
    return source if other is None else open_source(other)


def few_of(images: Labelled, count: int | None) -> Labelled:
    """So many of these images, or all of them."""
    return images if count is None else labelled(Few(images.source, count, BANK_SEED))


def split_beside(source: Source) -> Labelled | None:
    """The training split beside a held-out one; None where there is none by convention."""
    split = training_split(source.spec())
    return None if split is None else labelled(open_source(split))


def refuse_training_split(source: Source, given: str) -> None:
    """A training split is what others are compared with."""
    if (other := held_out(source.spec())) is not None:
        raise UsageError(
            f"{given} is a training split: it is what others are compared with",
            hint=f"evaluate its {other.get('split', 'held-out')} split with --data, or name other images with --bank",
        )


def no_split(source: Source) -> UsageError:
    """The error where a bank should be the training split, and there is none."""
    return UsageError(
        f"there is no training split beside {source.name}", hint="name the images to compare with: --bank SOURCE"
    )
