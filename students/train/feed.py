"""From examples to what a step needs: views at the student's resolution and truths, joined by row with the epoch's targets.

Input: training images and a source of targets. Output: pieces (micro-batches) of steps. Worker processes decode and render;
truths are read in this process, those of one piece at a time.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from kdcache.errors import Drift
from kdcache.render import Rendered, RenderPool
from students.base.truths import CLASS, ClassTruth
from students.train.images import Rows, TrainingImages
from students.train.targets import EpochTargets, Pixels, TargetSource

AHEAD = 4
"""Number of pieces that are rendered ahead of time."""


@dataclass(frozen=True)
class Piece:
    """Some examples of one step. Pixels and what is shown to a teacher hold until the next piece is drawn."""

    step: int
    """Number of the step within the epoch."""
    last: bool
    """Whether this piece completes the step."""
    view: int
    """Number of the view the images are seen in."""
    rows: Rows
    """Row of each example; a row with several items may come several times."""
    span: slice
    """Position of these examples within the step."""
    pixels: Pixels | None
    """Views for the student, uint8 (examples, height, width, 3); None: it needs no pixels."""
    shown: Pixels | None
    """Views for a connected teacher."""
    good: NDArray[np.bool_]
    """Mask of the examples, False where an image cannot be read; such an example is not trained on."""
    truths: dict[str, Any]
    """Truth column -> its values for these examples."""

    def truths_on(self, device: torch.device) -> dict[str, Any]:
        """The truths as families and objectives get them (students/base/truths.py), tensors on the device."""
        found = dict(self.truths)
        if CLASS in found:
            found[CLASS] = ClassTruth(*(torch.from_numpy(array).to(device) for array in found[CLASS]))
        return found


class Feed:
    """Renders and reads for one process. Use it in a with statement, for the pieces of one epoch at a time."""

    def __init__(
        self,
        images: TrainingImages,
        targets: TargetSource,
        *,
        size: tuple[int, int] | None,
        micro: int,
        workers: int,
        strict: bool,
        truths: tuple[str, ...] = (),
    ) -> None:
        """`size`: height and width the student sees; None: it learns from signals and sees no image.

        `truths`: truth columns that are read.
        """
        self._images, self._targets, self._micro, self._strict = images, targets, micro, strict
        self._truths = truths
        self.unreadable: dict[str, str] = {}
        """Image -> why it could not be read; without a cache this is only found out while training."""
        self._stack = ExitStack()
        self._own = size
        self._pools = {sees: self._pool(sees, workers) for sees in {size, targets.sees} if sees is not None}

    def _pool(self, size: tuple[int, int], workers: int) -> RenderPool:
        images = self._images
        return RenderPool(
            images.source,
            images.recipe,
            seed=images.views.seed,
            size=size,
            ids=images.ids,
            workers=workers,
            batch=self._micro,
            ahead=AHEAD,
        )

    def __enter__(self) -> Self:
        for pool in self._pools.values():
            self._stack.enter_context(pool)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def pieces(self, epoch: EpochTargets, start: int) -> Iterator[Piece]:
        """The pieces of an epoch from step `start` on."""
        rendered = {size: pool.batches(self._requests(epoch, start)) for size, pool in self._pools.items()}
        for step in range(start, len(epoch)):
            examples = epoch.examples(step)
            for span in self._spans(len(examples)):
                seen = {size: next(views) for size, views in rendered.items()}
                some = examples[span]
                yield Piece(
                    step=step,
                    last=span.stop == len(examples),
                    view=epoch.view,
                    rows=self._images.known.rows_of(some),
                    span=span,
                    pixels=seen[self._own].pixels[: len(some)] if self._own is not None else None,
                    shown=seen[self._targets.sees].pixels[: len(some)] if self._targets.sees is not None else None,
                    good=self._good(next(iter(seen.values()))) if seen else np.ones(len(some), np.bool_),
                    truths=self._images.truths(self._truths, some, epoch.view),
                )

    def _spans(self, count: int) -> Iterator[slice]:
        """A step of so many examples, piece by piece."""
        for first in range(0, count, self._micro):
            yield slice(first, min(first + self._micro, count))

    def _requests(self, epoch: EpochTargets, start: int) -> Iterator[tuple[int, list[int]]]:
        for step in range(start, len(epoch)):
            rows = self._images.known.rows_of(epoch.examples(step)).tolist()
            for span in self._spans(len(rows)):
                yield epoch.view, rows[span]

    def _good(self, seen: Rendered) -> NDArray[np.bool_]:
        if seen.bad and self._strict:
            row, reason = next(iter(seen.bad.items()))
            raise Drift(
                f"{self._images.ids[row]} could be read when the cache was built, and cannot be now: {reason}",
                hint="bring the file back, or build a new cache of the images that are there",
            )
        self.unreadable.update((self._images.ids[row], reason) for row, reason in seen.bad.items())
        return np.array([row not in seen.bad for row in seen.rows], np.bool_)
