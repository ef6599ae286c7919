"""RenderPool renders (view, rows) requests into full batches of uint8 pixels, in order, ahead of the consumer."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kdcache.images.source import Source
from kdcache.render.crew import Crew
from kdcache.render.ring import Ring
from kdcache.render.worker import Done, RenderTask, Setup, render_rows
from kdcache.signals.shown import Shown, TokenBatch, Tokens, row_digests, token_batch
from kdcache.views import DriftedRow, Ids
from kdcache.views.recipe import Augment, Plain
from kdcache.views.replay import drifts

TASK_IMAGES = 8
"""Most images in a task: few, so that all workers share a batch and finish it at about the same time."""
Request = tuple[int, Sequence[int]]
"""A view number and the rows to render in that view."""


@dataclass(frozen=True)
class Rendered:
    """One batch of views. The buffer `pixels` is reused: it is valid until the next batch is requested."""

    view: int
    rows: tuple[int, ...]
    pixels: NDArray[np.uint8]
    """uint8 (batch, height, width, 3). The batch is always full: positions beyond the requested rows are black."""
    digests: NDArray[np.uint32]
    """Digest of the pixels of each row; 0 for an unreadable image."""
    bad: dict[int, str]
    """Rows whose image cannot be read -> the reason; their pixels are black."""
    tokens: TokenBatch | None = None
    """Token ids that a teacher is shown with the pixels; None for a teacher that is shown only pixels."""

    def shown(self) -> Shown:
        """The whole batch as input of a teacher."""
        import torch

        if self.tokens is None:
            return Shown(torch.from_numpy(self.pixels))
        return Shown(*map(torch.from_numpy, (self.pixels, self.tokens.ids, self.tokens.lengths)))


@dataclass
class _Pending:
    """A batch that is being rendered."""

    rendered: Rendered
    slot: int
    left: int
    """Number of tasks of this batch that are not finished yet."""

    def accept(self, done: Done) -> None:
        first = done.task.first
        self.rendered.digests[first : first + len(done.digests)] = done.digests
        self.rendered.bad.update(done.bad)
        self.left -= 1


@dataclass
class _Progress:
    """The batches being rendered, oldest first, and the free slots."""

    free: deque[int]
    pending: dict[int, _Pending] = field(default_factory=dict)
    started: int = 0


class RenderPool:
    """Renders views in `workers` processes (0: in this one) into a ring of shared buffers, up to `ahead` batches ahead.

    `source` and `ids` are sent to every worker once. `tokens`, for a teacher that reads token ids, are added here by image id.
    Use it in a with statement, with one iteration of `batches` at a time.
    """

    def __init__(
        self,
        source: Source,
        recipe: Plain | Augment,
        *,
        seed: int,
        size: tuple[int, int],
        ids: Ids,
        workers: int,
        batch: int,
        ahead: int = 3,
        tokens: Tokens | None = None,
    ) -> None:
        self._tokens = tokens
        self._setup = Setup(source, recipe, seed, ids, (batch, *size, 3), slots=ahead + 1)
        self._workers, self._batch, self._ahead = workers, batch, ahead
        self._task_images = max(1, min(TASK_IMAGES, -(-batch // max(1, 2 * workers))))
        self._crew: Crew | None = None
        self._ring: Ring | None = None

    def __enter__(self) -> Self:
        if self._workers:
            ring = Ring(self._setup.shape, self._setup.slots)
            try:
                self._crew = Crew(self._workers, ring, self._setup)
            except BaseException:
                ring.close()
                raise
            self._ring = ring
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._crew is not None and self._ring is not None:
            self._crew.close()
            self._ring.close()
            self._crew = self._ring = None

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return self._crew.pids if self._crew else []

    def batches(self, requests: Iterable[Request]) -> Iterator[Rendered]:
        """Yield one Rendered per request, in order. Requests are read at most `ahead` batches ahead."""
        rendered = self._rendered(requests)
        return rendered if self._tokens is None else (self._with_tokens(batch, self._tokens) for batch in rendered)

    def _rendered(self, requests: Iterable[Request]) -> Iterator[Rendered]:
        if self._workers == 0:
            return self._render_here(requests)
        assert self._crew is not None, "use the pool in a with statement"
        assert self._ring is not None
        return self._render_ahead(self._crew, self._ring, requests)

    def _with_tokens(self, rendered: Rendered, tokens: Tokens) -> Rendered:
        """The batch with token ids added, and with digests that cover them."""
        ids = [None if row in rendered.bad else self._setup.ids[row] for row in rendered.rows]
        batch = token_batch(tokens, ids, self._batch)
        return replace(rendered, tokens=batch, digests=row_digests(rendered.digests, batch))

    def replay(self, view: int, rows: Sequence[int], expected: Sequence[int] | NDArray[np.uint32]) -> list[DriftedRow]:
        """Render rows of one view in parallel, and return those that differ from the expected digests (see views/replay.py)."""
        requests = [(view, rows[first : first + self._batch]) for first in range(0, len(rows), self._batch)]
        got = [int(digest) for rendered in self.batches(requests) for digest in rendered.digests]
        return drifts(rows, expected, got)

    def _render_here(self, requests: Iterable[Request]) -> Iterator[Rendered]:
        pixels = np.zeros(self._setup.shape, np.uint8)
        for view, rows in requests:
            rendered = self._empty(view, rows, pixels)
            digests, bad = render_rows(self._setup, view, rendered.rows, pixels)
            rendered.digests[:] = digests
            rendered.bad.update(bad)
            yield rendered

    def _render_ahead(self, crew: Crew, ring: Ring, requests: Iterable[Request]) -> Iterator[Rendered]:
        crew.settle()  # an earlier iteration may have been stopped early
        progress, wanted = _Progress(deque(range(self._setup.slots))), iter(requests)
        self._start(crew, ring, progress, wanted)
        while progress.pending:
            oldest = next(iter(progress.pending))
            while progress.pending[oldest].left:
                done = crew.take()
                progress.pending[done.task.batch].accept(done)
            finished = progress.pending.pop(oldest)
            self._start(crew, ring, progress, wanted)
            yield finished.rendered
            progress.free.append(finished.slot)

    def _start(self, crew: Crew, ring: Ring, progress: _Progress, wanted: Iterator[Request]) -> None:
        """Start batches until `ahead` of them are being rendered or there are no more requests."""
        while len(progress.pending) < self._ahead and (request := next(wanted, None)) is not None:
            slot, number = progress.free.popleft(), progress.started
            rendered = self._empty(*request, ring.slots[slot])
            tasks = [
                RenderTask(number, slot, first, rendered.view, rendered.rows[first : first + self._task_images])
                for first in range(0, len(rendered.rows), self._task_images)
            ]
            progress.pending[number] = _Pending(rendered, slot, len(tasks))
            progress.started += 1
            crew.submit(tasks)

    def _empty(self, view: int, rows: Sequence[int], pixels: NDArray[np.uint8]) -> Rendered:
        assert 0 < len(rows) <= self._batch
        pixels[len(rows) :] = 0
        return Rendered(view, tuple(map(int, rows)), pixels, np.zeros(len(rows), np.uint32), {})
