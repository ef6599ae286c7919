"""Reading ahead: the order is known, so the kernel is told of rows before they are wanted, as long as the disk is really read.

Random reads through a map reach a tenth of a disk's rate; announced ones reach it. Announcing costs system calls that a
warm cache does not need, so it stops when what was announced was there already, and starts again with the next read.
"""

import resource
from collections.abc import Sequence
from concurrent.futures import Executor
from threading import Lock, local

import numpy as np

from kdcache.stream.examples import Rows
from kdcache.stream.order import Order, Share
from kdcache.stream.shelf import Page, Shelf

PATIENCE = 4
"""Number of announcements without a read after which everything is assumed to be in memory; some file systems do
not count what is read ahead.
"""
AHEAD_BYTES = 64 << 20
"""Bytes announced but not yet needed; exceeded by one step at most."""


class ReadAhead:
    """Announces the rows of one process in steps: windows of a shuffle by blocks, else superbatches.

    It begins with one step, or `quiet` with none, and doubles what it looks ahead by as long as the disk is read.
    """

    def __init__(
        self,
        order: Order,
        share: Share,
        shelf: Shelf,
        names: Sequence[str],
        readers: Executor,
        *,
        step: int,
        row_bytes: int,
    ) -> None:
        self._order, self._share, self._shelf, self._names, self._readers = order, share, shelf, names, readers
        self._step = step
        self._most = max(step, AHEAD_BYTES * share.world // max(1, row_bytes))
        self._ahead = min(step, self._most)
        self._done = 0
        self._asked: set[Page] = set()
        self._reads = self._reads_then = 0
        self._patience = 0 if shelf.touched(names) else 1
        self._busy, self._counting = Lock(), Lock()
        self._seen = local()

    def advance(self, position: int) -> None:
        """Announce what follows `position`; call before the rows there are gathered."""
        self._count()
        if not self._busy.acquire(blocking=False):
            return  # another thread is announcing
        try:
            self._done = max(self._done, position)
            # While one window is read out, the two behind it are read in.
            window = self._order.lookahead(self._order.lookahead(self._order.lookahead(position)))
            target = min(max(position + self._ahead, window), len(self._order))
            if self._reads > self._reads_then:
                self._reads_then, self._patience = self._reads, PATIENCE
            if self._done < target and self._patience:
                self._patience -= 1
                self._announce_until(target)
                self._ahead = min(2 * self._ahead, self._most)
        finally:
            self._busy.release()

    def _announce_until(self, position: int) -> None:
        while self._done < position:
            if self._order.shuffle == "blocks":
                self._announce(*self._order.window(self._done))
                self._done = self._order.lookahead(self._done)
            else:
                examples = self._order.slice(self._done, self._done + self._step)
                own = examples[self._share.own(self._done, self._done + len(examples))]
                rows = np.unique(self._order.rows_of(own))
                self._announce(rows, rows + 1)
                self._done += self._step

    def _announce(self, first: Rows, last: Rows) -> None:
        for page in self._shelf.announce(first, last, self._names):
            if page not in self._asked:
                self._asked.add(page)
                self._readers.submit(self._bring, page)

    def _bring(self, page: Page) -> None:
        self._count()
        self._shelf.bring(page)
        self._count()

    def _count(self) -> None:
        """Add what this thread has read from the disk since it was last here."""
        before = getattr(self._seen, "reads", None)
        self._seen.reads = now = _disk_reads()
        if before is not None and now > before:
            with self._counting:
                self._reads += now - before


def _disk_reads() -> int:
    """What this thread has made the disk read so far, by faults or by announcing."""
    usage = resource.getrusage(resource.RUSAGE_THREAD)
    return usage.ru_inblock + usage.ru_majflt
