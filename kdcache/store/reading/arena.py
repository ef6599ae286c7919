"""One field of many parts as one array over all rows. Job: make a batch one gather, whatever part its rows lie in.

Input: where each part keeps the field. Output: `gather`, which checks blocks of rows on first touch. Address space is reserved
for all parts and filled in as rows are wanted: with the files themselves (mapped.py) or with decompressed blocks (inflated.py).
A part's place is a whole number of rows and of pages, so it may be longer than the part; `locate` turns rows of the dataset
into rows of the array.

Ten rows in parts of four (4 + 4 + 2), checked in blocks of two; a row is 768 float32 numbers, that is 3,072 bytes:

    array     (parts x rows a place, *shape of a row), uninitialised where no part lies
    rows      int64 (n,): rows of the dataset, as everywhere outside this file
    stride    bytes of one place: the smallest multiple of 3,072 bytes and of a huge page (2 MiB), 6 MiB or 2,048 rows

    >>> from kdcache.store.reading.mapped import Mapped
    >>> def pieces(part): ...    # where part 0, 1 or 2 lies in its file; called on first touch only
    >>> field = Field("embedding", "<f4", (768,))
    >>> arena = Mapped(field, pieces, Grid(rows=10, rows_per_part=4, block_rows=2), offset=0, check=True, dense=False)
    >>> arena.stride, arena.array.shape
    (6291456, (6144, 768))
    >>> arena.locate(np.array([3, 4, 9])).tolist()    # the last row of part 0, the first of part 1, the last of part 2
    [3, 2048, 4097]
    >>> arena.block_bytes(2)    # the first two rows of part 1
    (6291456, 6297600)
"""

import mmap
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from math import lcm
from threading import Condition, RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcache.base import addresses
from kdcache.base.addresses import PAGE
from kdcache.codecs.codec import Field
from kdcache.errors import StorageError
from kdcache.store.reading.piece import Piece

Rows = NDArray[np.int64]
HUGE = 2 << 20
"""Places begin as far behind a huge page as the bytes in the file do, so that the kernel may map huge pages."""
_MOST_SPACE = 8 << 40
FUSED_BYTES = 4 << 20
"""On first touch, large rows are hashed and copied so many bytes at a time, while they are in the cache of the core."""
ANNOUNCED_BYTES = 256 << 10
"""Bytes announced in one call; beyond this, the kernel reads no more than the device takes in one request."""
_SLACK_BYTES = 32 << 10
CLAIMED = 64
"""Blocks that one thread checks before it looks what others have done."""
MADV_POPULATE_READ = 22


@dataclass(frozen=True)
class Grid:
    """How the rows of a field are divided. Blocks divide parts, so blocks can be numbered through."""

    rows: int
    rows_per_part: int
    block_rows: int

    @property
    def parts(self) -> int:
        """Parts of a view."""
        return -(-self.rows // self.rows_per_part)

    @property
    def blocks_per_part(self) -> int:
        """Blocks of a full part."""
        return self.rows_per_part // self.block_rows


class Arena(ABC):
    """Address space for one field of all parts, and a note of which blocks are there and right."""

    def __init__(
        self,
        field: Field,
        pieces: Callable[[int], Piece],
        grid: Grid,
        *,
        offset: int = 0,
        prot: int = mmap.PROT_READ,
        flags: int = 0,
    ) -> None:
        self.field, self.grid, self.row_bytes = field, grid, field.row_bytes
        self._pieces = pieces
        self.stride, space = self._reserve(prot, flags)
        self._gap = self.stride // self.row_bytes - grid.rows_per_part if grid.parts > 1 else 0
        skip = (offset - space.ctypes.data) % HUGE
        whole = space[skip : skip + self.stride * grid.parts]
        self.array: NDArray[Any] = whole.view(field.dtype).reshape(-1, *field.shape)
        self.base = int(whole.ctypes.data)
        self._ready = np.zeros(-(-grid.rows // grid.block_rows), np.bool_)
        self._claimed = np.zeros_like(self._ready)
        self._waiting = len(self._ready)
        self._lock = Condition(RLock())

    def _reserve(self, prot: int, flags: int) -> tuple[int, NDArray[np.uint8]]:
        """Bytes from part to part, and the addresses: whole rows and, where there is room, whole huge pages a part."""
        flags |= mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        if self.grid.parts == 1:  # nothing comes behind it: no whole rows or pages are to be kept to
            nbytes = self.grid.rows * self.row_bytes
            with suppress(OSError):
                return nbytes, np.frombuffer(mmap.mmap(-1, nbytes + 2 * HUGE, flags=flags, prot=prot), np.uint8)
        for page in (HUGE, PAGE):
            grain = lcm(self.row_bytes, page)
            stride = -(-self.grid.rows_per_part * self.row_bytes // grain) * grain
            length = stride * self.grid.parts + 2 * HUGE
            if length > (_MOST_SPACE if page == HUGE else sys.maxsize):
                continue
            with suppress(OSError):
                # Python's own map owns the addresses: they are given back when the last array over them is gone.
                return stride, np.frombuffer(mmap.mmap(-1, length, flags=flags, prot=prot), np.uint8)
        message = f"cannot reserve {length:,} bytes of address space for {self.field.name!r}"
        raise StorageError(message, hint="raise the limit on virtual memory (ulimit -v)")

    @property
    def touched(self) -> bool:
        """True when every block is there and right."""
        return not self._waiting

    @property
    def crowded(self) -> bool:
        """True when not everything may be there at once: what one gather needs, another may push out."""
        return False

    def touch(self, rows: Rows) -> None:
        """Have the blocks of these rows there and checked."""
        self._prepare(rows)

    def gather(self, rows: Rows, out: NDArray[Any]) -> None:
        """Copy these rows into `out`, their blocks checked on first touch."""
        guard: AbstractContextManager[Any] = self._lock if self.crowded else nullcontext()
        with guard:
            fused = self._waiting and self.row_bytes >= PAGE
            step = max(1, FUSED_BYTES // self.row_bytes if fused else len(rows))
            for start in range(0, len(rows), step):
                some = rows[start : start + step]
                self._prepare(some)
                np.take(self.array, self.locate(some), axis=0, out=out[start : start + step], mode="clip")

    def announce(self, first: Rows, last: Rows) -> list[int]:
        """Tell the kernel that these spans of rows (ascending, last ones excluded) will be wanted soon.

        Returns huge pages that should be brought in instead, each with `bring` in a thread that may wait for the disk.
        """
        with self._lock:
            return self._announce(*self._within_parts(first, last))

    def bring(self, page: int) -> None:
        """Read one huge page in."""
        start, stop = page * HUGE - self.base, (page + 1) * HUGE - self.base
        self.advise(max(0, start), min(stop, self.stride * self.grid.parts), MADV_POPULATE_READ)

    def locate(self, rows: Rows) -> Rows:
        """Rows of the dataset -> rows of `array`."""
        return rows + rows // self.grid.rows_per_part * self._gap if self._gap else rows

    def block_bytes(self, block: int) -> tuple[int, int]:
        """First and one-past-last byte of a block in the arena."""
        grid = self.grid
        part, number = divmod(block, grid.blocks_per_part)
        start = part * self.stride + number * grid.block_rows * self.row_bytes
        rows = min(grid.block_rows, grid.rows - block * grid.block_rows)
        return start, start + rows * self.row_bytes

    def advise(self, start: int, stop: int, advice: int) -> None:
        """madvise over bytes of the arena, rounded out to pages. Other threads go on meanwhile."""
        start = start // PAGE * PAGE
        addresses.advise(self.base + start, stop - start, advice)

    def _prepare(self, rows: Rows) -> None:
        """Admit the blocks of these rows. Threads share the work: each claims a few, and waits for those of others."""
        if not self._waiting:
            return
        blocks = rows // self.grid.block_rows
        if self._ready[blocks].all():
            return
        blocks = np.unique(blocks) if len(blocks) > 1 else blocks
        while True:
            with self._lock:
                fresh = blocks[~self._ready[blocks]]
                mine = fresh[~self._claimed[fresh]][:CLAIMED]
                if not len(fresh):
                    return
                if not len(mine):
                    self._lock.wait()
                    continue
                self._claimed[mine] = True
            try:
                self._admit(mine, blocks)
            finally:
                with self._lock:
                    self._claimed[mine] = False
                    self._lock.notify_all()

    def _mark(self, blocks: Rows | slice, ready: bool) -> None:
        """Note that these blocks (each named once) are there, or no more."""
        changed = int(np.count_nonzero(self._ready[blocks] != ready))
        self._ready[blocks] = ready
        self._waiting += -changed if ready else changed

    def _within_parts(self, first: Rows, last: Rows) -> tuple[Rows, Rows]:
        """The same spans, cut where a part ends."""
        size = self.grid.rows_per_part
        pieces = (last - 1) // size - first // size + 1
        which = np.repeat(np.arange(len(first)), pieces)
        part = first[which] // size + np.arange(len(which)) - (np.cumsum(pieces) - pieces)[which]
        return np.maximum(first[which], part * size), np.minimum(last[which], (part + 1) * size)

    def _bytes_of(self, first: Rows, last: Rows) -> Iterable[tuple[int, int]]:
        """Spans within parts -> bytes of the arena, joined where they nearly touch."""
        size, slack = self.grid.rows_per_part, _SLACK_BYTES // self.row_bytes
        apart = (first[1:] > last[:-1] + slack) | (first[1:] // size != first[:-1] // size)
        cuts = np.flatnonzero(apart)
        starts = self.locate(first[np.r_[0, cuts + 1]]) * self.row_bytes
        stops = (self.locate(last[np.r_[cuts, len(last) - 1]] - 1) + 1) * self.row_bytes
        return zip(starts.tolist(), stops.tolist(), strict=True)

    @abstractmethod
    def open_part(self, part: int) -> None:
        """Damage when the file of a part is not there as it was written. No block of it is read."""

    @abstractmethod
    def _admit(self, blocks: Rows, needed: Rows) -> None:
        """Bring in these blocks and check them; those that are `needed` must stay. Damage when one is not right."""

    @abstractmethod
    def _announce(self, first: Rows, last: Rows) -> list[int]: ...
