"""The stream of one epoch: superbatches are gathered ahead of the consumer and returned batch by batch.

Input: a shelf, an order, this process's share. Output: an iterable of Batch. Threads and buffers are created when an iteration
starts; threads end with the iteration, buffers are kept for the next one. An error in a thread is raised in the consumer.
"""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import accumulate, pairwise

import numpy as np

from kdcache.codecs.codec import Fields
from kdcache.errors import UsageError
from kdcache.stream.ahead import ReadAhead
from kdcache.stream.batch import Batch, Context
from kdcache.stream.examples import Rows
from kdcache.stream.order import Order, Share

SUPERBATCH_BYTES = 4 << 20
"""Bytes gathered at once: enough that the cost of a call is small compared with that of copying."""
READERS = 8
"""Number of threads that wait for the disk; they are started only when something has to be read."""
REPEATED = 2
"""From this mean number of examples per row (in what is gathered at once) on, each row is read once and then copied. Below
it, the copy through a new array costs about as much as reading mapped rows a second time.
"""
KEPT = 2
"""Number of later batches that may be drawn while a batch stays valid."""


class Stream:
    """The batches of one epoch for one process. Iterating again gives the same batches."""

    def __init__(
        self,
        context: Context,
        order: Order,
        share: Share,
        *,
        start: int = 0,
        pin: bool = False,
        threads: int = 2,
    ) -> None:
        if not 0 <= start <= len(share):
            raise UsageError(f"start is batch {start}, but the epoch has {len(share)}", hint="batches count from 0")
        if threads < 1:
            raise UsageError(f"threads is {threads}", hint="give at least 1")
        self._context, self._order, self._share = context, order, share
        self.start, self._pin, self._threads = start, pin, threads
        self._fields = context.fields
        self._row_bytes = sum(field.row_bytes for field in self._fields)
        self._together = max(1, SUPERBATCH_BYTES // max(1, self._row_bytes * share.batch))

    def __len__(self) -> int:
        return len(self._share) - self.start

    @property
    def view(self) -> int:
        """Number of the view that this epoch reads."""
        return self._context.shelf.view

    @property
    def epoch(self) -> int:
        """Number of the epoch."""
        return self._order.epoch

    def rows(self, number: int) -> Rows:
        """Row numbers of this process's piece of global batch `number`; nothing is read."""
        return self._order.rows_of(self.examples(number))

    def examples(self, number: int) -> Rows:
        """Example numbers of this process's piece of global batch `number`; nothing is read."""
        return self._order.slice(*self._share.span(number))

    def __iter__(self) -> Iterator[Batch]:
        return self.batches()

    def batches(self) -> Generator[Batch]:
        """Like iterating, but as a generator that can be closed early."""
        ahead = self._threads + 1
        held = -(-(KEPT - 1) // self._together)
        count = ahead + held + 1
        rows = self._together * self._share.batch
        gatherers = ThreadPoolExecutor(self._threads, thread_name_prefix="kd-gather")
        readers = ThreadPoolExecutor(READERS, thread_name_prefix="kd-read")
        with self._context.rings.lend(count, rows, self._fields, pin=self._pin) as slots:
            try:
                yield from self._batches(gatherers, self._read_ahead(readers), slots)
            finally:
                readers.shutdown(wait=True, cancel_futures=True)
                gatherers.shutdown(wait=True, cancel_futures=True)

    def _batches(self, gatherers: Executor, read_ahead: ReadAhead, slots: list[Fields]) -> Iterator[Batch]:
        free, used = deque(slots), deque[tuple[int, Fields]]()
        coming: deque[tuple[int, Fields, Future[list[Rows]]]] = deque()
        firsts = iter(range(self.start, len(self._share), self._together))
        number = self.start
        while number < len(self._share):
            while used and used[0][0] <= number - KEPT:
                free.append(used.popleft()[1])
            while free and (first := next(firsts, None)) is not None:
                slot = free.popleft()
                coming.append((first, slot, gatherers.submit(self._fill, first, slot, read_ahead)))
            _, slot, filled = coming.popleft()
            at = 0
            for examples in filled.result():
                end = at + len(examples)
                yield self._batch(number, examples, {name: array[at:end] for name, array in slot.items()})
                at, number = end, number + 1
            used.append((number - 1, slot))

    def _batch(self, number: int, examples: Rows, fields: Fields) -> Batch:
        rows, items = self._order.rows_of(examples), self._order.examples.items_of(examples)
        return Batch(number, rows, fields, self._context, examples=examples, items=items)

    def _fill(self, first: int, slot: Fields, read_ahead: ReadAhead) -> list[Rows]:
        """Gather as many batches from `first` on as fit into the slot; returns the examples of each."""
        spans = [self._share.span(n) for n in range(first, min(first + self._together, len(self._share)))]
        read_ahead.advance(spans[0][0])
        if self._share.world == 1:
            examples = self._order.slice(spans[0][0], spans[-1][1])
        else:
            examples = np.concatenate([self._order.slice(*span) for span in spans])
        self._gather(examples, slot)
        ends = list(accumulate(stop - start for start, stop in spans))
        return [examples[first:last] for first, last in pairwise([0, *ends])]

    def _gather(self, examples: Rows, slot: Fields) -> None:
        """Gather the rows of these examples. If many rows repeat, each is read once and then copied."""
        rows = self._order.rows_of(examples)
        if self._order.examples.has_items:
            distinct, place = np.unique(rows, return_inverse=True)
            if len(distinct) * REPEATED <= len(rows):
                self._context.shelf.fetch(distinct, slot)
                for array in slot.values():
                    array[: len(rows)] = array[: len(distinct)][place]
                return
        self._context.shelf.fetch(rows, slot)

    def _read_ahead(self, readers: Executor) -> ReadAhead:
        return ReadAhead(
            self._order,
            self._share,
            self._context.shelf,
            [field.name for field in self._fields],
            readers,
            step=self._together * self._share.batch * self._share.world,
            row_bytes=self._row_bytes,
        )
