"""From examples to what a step needs: views at the student's resolution and truths, joined by row with the epoch's targets.

Input: training images and a source of targets. Output: pieces (micro-batches) of steps. Worker processes decode and render;
a thread of this process reads truths, those of one piece at a time.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray

from kdcache.errors import Drift
from kdcache.render import RenderPool
from students.base.truths import CLASS, ClassTruth
from students.train.images import Rows, TrainingImages
from students.train.kept_views import KeptViews, Seen, rendered, rendered_once
from students.train.targets import EpochTargets, Pixels, TargetSource

AHEAD = 4
"""Number of pieces that are rendered ahead of time."""
READ_AHEAD = 1
"""Number of pieces whose truths are read ahead of time."""


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


class Cut(NamedTuple):
    """Which examples make a piece."""

    step: int
    last: bool
    span: slice
    examples: Rows


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
        kept: KeptViews | None = None,
    ) -> None:
        """`size`: height and width the student sees; None: it learns from signals and sees no image.

        `truths`: truth columns that are read. `kept`: where the student's views are kept between epochs; None: nowhere.
        """
        self._images, self._targets, self._micro, self._strict = images, targets, micro, strict
        self._truths = truths
        self.unreadable: dict[str, str] = {}
        """Image -> why it could not be read; without a cache this is only found out while training."""
        self._stack = ExitStack()
        self._own, self._kept = size, kept
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
        self._reader = self._stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="kd-truths"))
        for pool in self._pools.values():
            self._stack.enter_context(pool)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def pieces(self, epoch: EpochTargets, start: int) -> Iterator[Piece]:
        """The pieces of an epoch from step `start` on."""
        views = {size: self._seen(size, pool, epoch, start) for size, pool in self._pools.items()}
        for cut, truths in self._with_truths(epoch, start):
            seen = {size: next(some) for size, some in views.items()}
            rows = self._images.known.rows_of(cut.examples)
            yield Piece(
                step=cut.step,
                last=cut.last,
                view=epoch.view,
                rows=rows,
                span=cut.span,
                pixels=seen[self._own].pixels if self._own is not None else None,
                shown=seen[self._targets.sees].pixels if self._targets.sees is not None else None,
                good=self._good(rows, next(iter(seen.values())).bad) if seen else np.ones(len(rows), np.bool_),
                truths=truths,
            )

    def _cuts(self, epoch: EpochTargets, start: int) -> Iterator[Cut]:
        """The steps of an epoch from `start` on, cut into pieces."""
        for step in range(start, len(epoch)):
            examples = epoch.examples(step)
            for first in range(0, len(examples), self._micro):
                span = slice(first, min(first + self._micro, len(examples)))
                yield Cut(step, span.stop == len(examples), span, examples[span])

    def _with_truths(self, epoch: EpochTargets, start: int) -> Iterator[tuple[Cut, dict[str, Any]]]:
        """The pieces of an epoch with their truths, which are read while the piece before is trained on."""
        coming = deque[tuple[Cut, Future[dict[str, Any]]]]()
        for cut in self._cuts(epoch, start):
            coming.append((cut, self._reader.submit(self._images.truths, self._truths, cut.examples, epoch.view)))
            if len(coming) > READ_AHEAD:
                ready, truths = coming.popleft()
                yield ready, truths.result()
        for ready, truths in coming:
            yield ready, truths.result()

    def _seen(self, size: tuple[int, int], pool: RenderPool, epoch: EpochTargets, start: int) -> Iterator[Seen]:
        """The views of an epoch's pieces at one size."""
        pieces = ((epoch.view, self._images.known.rows_of(cut.examples)) for cut in self._cuts(epoch, start))
        kept = self._kept if size == self._own else None
        return rendered(pool, pieces) if kept is None else rendered_once(pool, pieces, kept)

    def _good(self, rows: Rows, bad: dict[int, str]) -> NDArray[np.bool_]:
        if bad and self._strict:
            row, reason = next(iter(bad.items()))
            raise Drift(
                f"{self._images.ids[row]} could be read when the cache was built, and cannot be now: {reason}",
                hint="bring the file back, or build a new cache of the images that are there",
            )
        self.unreadable.update((self._images.ids[row], reason) for row, reason in bad.items())
        return np.array([row not in bad for row in rows.tolist()], np.bool_)
