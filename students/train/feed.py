"""From rows to what a step needs: views rendered at the student's resolution, joined by row with what was said about them.

Input: a scene and a teller. Output: pieces (micro-batches) of steps. Worker processes decode and render; targets are joined
in the main process, by row and a batch at a time.
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
from students.base.truths import ClassTruth
from students.train.images import Rows, TrainingImages
from students.train.targets import EpochTargets, Pixels, TargetSource

AHEAD = 4
"""Number of pieces that are rendered ahead of time."""


@dataclass(frozen=True)
class Piece:
    """Some rows of one step. Pixels and what is shown to a teacher hold until the next piece is asked for."""

    step: int
    """Number of the step within the epoch."""
    last: bool
    """Whether this piece completes the step."""
    rows: Rows
    span: slice
    """where these rows stand in the step"""
    pixels: Pixels | None
    """Views for the student, uint8 (rows, height, width, 3); None: it needs no pixels."""
    shown: Pixels | None
    """Views for a connected teacher."""
    good: NDArray[np.bool_]
    """Mask of the rows, False where an image cannot be read; such a row is not trained on."""


class Feed:
    """Renders the views of a scene for one process. Use it in a with statement, for the pieces of one epoch at a time."""

    def __init__(
        self,
        scene: TrainingImages,
        teller: TargetSource,
        *,
        size: tuple[int, int] | None,
        micro: int,
        workers: int,
        strict: bool,
    ) -> None:
        """`size`: height and width the student sees; None: it learns from what was said and sees no image."""
        self._scene, self._teller, self._micro, self._strict = scene, teller, micro, strict
        self.unreadable: dict[str, str] = {}
        """Image -> why it could not be read; without a cache this is only found out while training."""
        self._stack = ExitStack()
        self._own = size
        self._pools = {sees: self._pool(sees, workers) for sees in {size, teller.sees} if sees is not None}

    def _pool(self, size: tuple[int, int], workers: int) -> RenderPool:
        scene = self._scene
        return RenderPool(
            scene.source,
            scene.recipe,
            seed=scene.views.seed,
            size=size,
            ids=scene.ids,
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

    def pieces(self, telling: EpochTargets, start: int) -> Iterator[Piece]:
        """The pieces of an epoch from step `start` on."""
        rendered = {size: pool.batches(self._requests(telling, start)) for size, pool in self._pools.items()}
        for step in range(start, len(telling)):
            rows = telling.rows(step)
            for first in range(0, len(rows), self._micro):
                span = slice(first, min(first + self._micro, len(rows)))
                seen = {size: next(views) for size, views in rendered.items()}
                count = span.stop - first
                yield Piece(
                    step=step,
                    last=span.stop == len(rows),
                    rows=rows[span],
                    span=span,
                    pixels=seen[self._own].pixels[:count] if self._own is not None else None,
                    shown=seen[self._teller.sees].pixels[:count] if self._teller.sees is not None else None,
                    good=self._good(next(iter(seen.values()))) if seen else np.ones(count, np.bool_),
                )

    def _requests(self, telling: EpochTargets, start: int) -> Iterator[tuple[int, list[int]]]:
        for step in range(start, len(telling)):
            rows = telling.rows(step).tolist()
            for first in range(0, len(rows), self._micro):
                yield telling.view, rows[first : first + self._micro]

    def _good(self, seen: Rendered) -> NDArray[np.bool_]:
        if seen.bad and self._strict:
            row, reason = next(iter(seen.bad.items()))
            raise Drift(
                f"{self._scene.ids[row]} could be read when the cache was built, and cannot be now: {reason}",
                hint="bring the file back, or build a new cache of the images that are there",
            )
        self.unreadable.update((self._scene.ids[row], reason) for row, reason in seen.bad.items())
        return np.array([row not in seen.bad for row in seen.rows], np.bool_)


def truths_of(
    names: tuple[str, ...], scene: TrainingImages, piece: Piece, telling: EpochTargets, device: torch.device
) -> dict[str, Any]:
    """The truths of these names of a piece, as tensors on the device."""
    columns = scene.truths(names, piece.rows, telling.view)
    return {
        name: ClassTruth(*(torch.from_numpy(array).to(device) for array in column)) for name, column in columns.items()
    }
