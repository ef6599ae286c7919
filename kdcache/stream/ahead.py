"""Reading ahead: the order is known, so the kernel is told of rows before they are wanted, as long as the disk is really read.

Random reads through a map reach a tenth of a disk's rate; announced ones reach it. Announcing costs system calls that a
warm cache does not need, so it stops when a whole superbatch came without a read and starts again with the first read.
"""

import resource
import threading
from collections.abc import Callable

import numpy as np

from kdcache.stream.order import Order, Rows, Share

AHEAD_BYTES = 64 << 20
"""announced and not yet wanted, at most a step more"""


class ReadAhead:
    """Announces the rows of one process in steps: windows of a shuffle by blocks, else superbatches.

    It begins with one step, or `quiet` with none, and doubles what it looks ahead by as long as the disk is read.
    """

    def __init__(
        self,
        order: Order,
        share: Share,
        announce: Callable[[Rows], None],
        *,
        step: int,
        row_bytes: int,
        quiet: bool = False,
    ) -> None:
        self._order, self._share, self._announce, self._step = order, share, announce, step
        self._most = max(step, AHEAD_BYTES * share.world // max(1, row_bytes))
        self._ahead = min(step, self._most)
        self._quiet = quiet
        self._done = 0
        self._lock = threading.Lock()
        self._seen = threading.local()

    def advance(self, position: int) -> None:
        """Announce what follows `position`; call before the rows there are gathered."""
        now = _disk_reads()
        before, self._seen.reads = getattr(self._seen, "reads", None), now
        with self._lock:
            self._done = max(self._done, position)
            if now == before or (before is None and self._quiet):
                return
            if before is not None:
                self._ahead = min(2 * self._ahead, self._most)
            self._announce_until(min(position + self._ahead, len(self._order)))

    def _announce_until(self, position: int) -> None:
        while self._done < position:
            stop = max(self._order.lookahead(self._done), self._done + self._step)
            rows = self._order.slice(self._done, stop)
            self._announce(np.sort(rows[self._share.own(self._done, self._done + len(rows))]))
            self._done = stop


def _disk_reads() -> int:
    """What this thread has made the disk read so far, by faults or by announcing."""
    usage = resource.getrusage(resource.RUSAGE_THREAD)
    return usage.ru_inblock + usage.ru_majflt
