"""The pictures of a training, a portion at a time.

Input: a schedule. Output: `DrawnPictures`: either the same ones again in every epoch, or new ones in every portion, which are
painted in other processes while the portion before is trained on.
"""

from concurrent.futures import Executor, Future
from typing import Protocol

from kdcache.teachers.nano_training.pictures import DrawnPictures, Painting, Pixels, begin_painting
from kdcache.teachers.nano_training.schedule import Schedule

FRESH_SEED = 1
"""Seed of the set that new pictures are taken from: not that of `shapes`, so none of its pictures is among them."""


class Portions(Protocol):
    """The pictures of a training."""

    passes: int
    """Number of passes over a portion, in the whole training."""
    size: int
    """Pictures in a portion."""

    def portion(self, number: int) -> DrawnPictures:
        """The pictures of a pass."""


class SamePictures:
    """The same pictures in each of `passes` epochs."""

    def __init__(self, pictures: DrawnPictures, passes: int) -> None:
        self._pictures, self.passes, self.size = pictures, passes, len(pictures)

    def portion(self, number: int) -> DrawnPictures:
        """All of them, for any number."""
        return self._pictures


class FreshPictures:
    """New pictures in each portion. Their side length grows during the training."""

    def __init__(self, schedule: Schedule, an_epoch: int, pool: Executor) -> None:
        self.size = min(schedule.portion, an_epoch)
        self._count = max(1, round(schedule.epochs * an_epoch / (self.size * schedule.passes)))
        self.passes = self._count * schedule.passes
        self._schedule, self._pool = schedule, pool
        self._begun: dict[int, list[Future[tuple[Pixels, Pixels]]]] = {}
        self._present: tuple[int, DrawnPictures] | None = None

    def portion(self, number: int) -> DrawnPictures:
        """The pictures of this pass; the painting of the next portion is begun."""
        at = number // self._schedule.passes
        if self._present is None or self._present[0] != at:
            self._present = None
            begun = self._begun.pop(at, None) or self._begin(at)
            if at + 1 < self._count:
                self._begun[at + 1] = self._begin(at + 1)
            self._present = at, self._painting(at).from_planes([block.result() for block in begun])
        return self._present[1]

    def _begin(self, at: int) -> list["Future[tuple[Pixels, Pixels]]"]:
        return begin_painting(self._painting(at), self._pool)

    def _painting(self, at: int) -> Painting:
        through = at / self._count
        return Painting(
            "train",
            at * self.size,
            (at + 1) * self.size,
            side=self._schedule.side_at(through),
            seed=FRESH_SEED,
            alone=through < self._schedule.alone,
        )
