"""One field of all parts as a single array over all rows, so that a batch is one gather, whatever parts its rows are in.

Input: where each part stores the field. Output: `gather`, which checks blocks of rows when they are first read. Address space is
reserved for all parts, and filled when rows are needed: with mapped files (mapped.py) or decompressed blocks (inflated.py). The
address range of a part is a whole number of rows and of pages, so it may be longer than the part; `locate` converts rows of
the dataset into rows of the array.

Ten rows in parts of four (4 + 4 + 2), checked in blocks of two; a row is 768 float32 numbers, that is 3,072 bytes:

    array     (parts x rows per address range, *shape of a row), uninitialised outside of parts
    rows      int64 (n,): rows of the dataset, as everywhere outside this file
    stride    bytes per address range: the smallest multiple of 3,072 bytes and of a huge page (2 MiB), 6 MiB or 2,048 rows

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
"""Size of a huge page. Addresses and file offsets agree modulo this size, so that the kernel can map huge pages."""
_MOST_SPACE = 8 << 40
FUSED_BYTES = 4 << 20
"""Large rows that are read for the first time are hashed and copied in pieces of this size, to stay in the CPU's cache."""
ANNOUNCED_BYTES = 256 << 10
"""Bytes per read-ahead call: of a larger range the kernel reads only as much as the device takes in one request."""
_SLACK_BYTES = 32 << 10
CLAIMED = 64
"""Number of blocks that a thread claims at once before it checks what other threads have done."""
MADV_POPULATE_READ = 22


@dataclass(frozen=True)
class Grid:
    """How the rows of a field are divided into parts and blocks. Blocks divide parts, so they are numbered across parts."""

    rows: int
    rows_per_part: int
    block_rows: int

    @property
    def parts(self) -> int:
        """Number of parts of a view."""
        return -(-self.rows // self.rows_per_part)

    @property
    def blocks_per_part(self) -> int:
        """Number of blocks of a full part."""
        return self.rows_per_part // self.block_rows


class Arena(ABC):
    """Address space for one field of all parts, and a record of which blocks are present and checked."""

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
        """Reserve addresses; returns the stride between parts (whole rows and, if possible, huge pages) and the memory."""
        flags |= mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        if self.grid.parts == 1:  # no part follows, so nothing has to be aligned
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
                # Python's mmap object owns the addresses: they are freed when the last array over them is gone.
                return stride, np.frombuffer(mmap.mmap(-1, length, flags=flags, prot=prot), np.uint8)
        message = f"cannot reserve {length:,} bytes of address space for {self.field.name!r}"
        raise StorageError(message, hint="raise the limit on virtual memory (ulimit -v)")

    @property
    def touched(self) -> bool:
        """True when all blocks are present and checked."""
        return not self._waiting

    @property
    def crowded(self) -> bool:
        """True when not all parts or blocks may be present at once, so that one gather may evict what another needs."""
        return False

    def touch(self, rows: Rows) -> None:
        """Load and check the blocks of these rows."""
        self._prepare(rows)

    def gather(self, rows: Rows, out: NDArray[Any]) -> None:
        """Copy these rows into `out`; blocks that are read for the first time are checked."""
        guard: AbstractContextManager[Any] = self._lock if self.crowded else nullcontext()
        with guard:
            fused = self._waiting and self.row_bytes >= PAGE
            step = max(1, FUSED_BYTES // self.row_bytes if fused else len(rows))
            for start in range(0, len(rows), step):
                some = rows[start : start + step]
                self._prepare(some)
                np.take(self.array, self.locate(some), axis=0, out=out[start : start + step], mode="clip")

    def announce(self, first: Rows, last: Rows) -> list[int]:
        """Tell the kernel that these spans of rows (ascending, last ones excluded) will be needed soon.

        Returns huge pages that the caller should load instead, each with `bring` in a thread that may wait for the disk.
        """
        with self._lock:
            return self._announce(*self._within_parts(first, last))

    def bring(self, page: int) -> None:
        """Load one huge page from disk."""
        start, stop = page * HUGE - self.base, (page + 1) * HUGE - self.base
        self.advise(max(0, start), min(stop, self.stride * self.grid.parts), MADV_POPULATE_READ)

    def locate(self, rows: Rows) -> Rows:
        """Convert rows of the dataset into rows of `array`."""
        return rows + rows // self.grid.rows_per_part * self._gap if self._gap else rows

    def block_bytes(self, block: int) -> tuple[int, int]:
        """First and one-past-last byte of a block in the arena."""
        grid = self.grid
        part, number = divmod(block, grid.blocks_per_part)
        start = part * self.stride + number * grid.block_rows * self.row_bytes
        rows = min(grid.block_rows, grid.rows - block * grid.block_rows)
        return start, start + rows * self.row_bytes

    def advise(self, start: int, stop: int, advice: int) -> None:
        """Call madvise on bytes of the arena, extended to whole pages. It does not block other threads."""
        start = start // PAGE * PAGE
        addresses.advise(self.base + start, stop - start, advice)

    def _prepare(self, rows: Rows) -> None:
        """Load and check the blocks of these rows. Threads share the work: each claims some blocks and waits for the others'."""
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
        """Record whether these blocks (each listed once) are present and checked."""
        changed = int(np.count_nonzero(self._ready[blocks] != ready))
        self._ready[blocks] = ready
        self._waiting += -changed if ready else changed

    def _within_parts(self, first: Rows, last: Rows) -> tuple[Rows, Rows]:
        """Cut spans of rows at the ends of parts."""
        size = self.grid.rows_per_part
        pieces = (last - 1) // size - first // size + 1
        which = np.repeat(np.arange(len(first)), pieces)
        part = first[which] // size + np.arange(len(which)) - (np.cumsum(pieces) - pieces)[which]
        return np.maximum(first[which], part * size), np.minimum(last[which], (part + 1) * size)

    def _bytes_of(self, first: Rows, last: Rows) -> Iterable[tuple[int, int]]:
        """Convert spans within parts to byte ranges of the arena, joining those that nearly touch."""
        size, slack = self.grid.rows_per_part, _SLACK_BYTES // self.row_bytes
        is_cut = (first[1:] > last[:-1] + slack) | (first[1:] // size != first[:-1] // size)
        cuts = np.flatnonzero(is_cut)
        starts = self.locate(first[np.r_[0, cuts + 1]]) * self.row_bytes
        stops = (self.locate(last[np.r_[cuts, len(last) - 1]] - 1) + 1) * self.row_bytes
        return zip(starts.tolist(), stops.tolist(), strict=True)

    @abstractmethod
    def open_part(self, part: int) -> None:
        """Damage if the file of a part is missing or has another length. No block is read."""

    @abstractmethod
    def _admit(self, blocks: Rows, needed: Rows) -> None:
        """Load and check these blocks, without evicting those that are `needed`. Damage if a block is wrong."""

    @abstractmethod
    def _announce(self, first: Rows, last: Rows) -> list[int]: ...
