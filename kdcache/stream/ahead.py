"""Read ahead: the order of rows is known, so rows are announced to the kernel before they are needed.

Random reads through a memory map reach a tenth of a disk's rate, announced reads all of it. Announcing costs system calls, which
are useless when the data is in memory already; so it stops when announcements cause no disk reads, and starts again with the
next disk read.
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
"""Number of announcements without a disk read after which all data is assumed to be in memory. It is above 1 because some
file systems do not count reads ahead.
"""
AHEAD_BYTES = 64 << 20
"""Most bytes that are announced but not needed yet; they may exceed this by one step."""


class ReadAhead:
    """Announces the rows of one process in steps: the windows of a shuffle by blocks, otherwise superbatches.

    It begins with one step ahead, and doubles the distance as long as the disk is read.
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
        """Announce the rows after `position`; call this before gathering the rows at `position`."""
        self._count()
        if not self._busy.acquire(blocking=False):
            return  # another thread is announcing
        try:
            self._done = max(self._done, position)
            # While one window is consumed, the two after it are read.
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
        """Add the disk reads of this thread since its last call."""
        before = getattr(self._seen, "reads", None)
        self._seen.reads = now = _disk_reads()
        if before is not None and now > before:
            with self._counting:
                self._reads += now - before


def _disk_reads() -> int:
    """Number of disk reads that this thread has caused so far, by page faults or by announcing."""
    usage = resource.getrusage(resource.RUSAGE_THREAD)
    return usage.ru_inblock + usage.ru_majflt
