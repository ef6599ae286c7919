"""Arena of a compressed field: blocks are checked and decompressed into it; when there are too many, the oldest are dropped.

A block is decompressed as a whole. With shuffle by blocks, each block is decompressed once an epoch; with full shuffle, once for
each row, unless the view fits into `MOST_BYTES`.
"""

import mmap
from collections.abc import Callable
from itertools import islice

import numpy as np

from kdcache.base.addresses import PAGE
from kdcache.codecs.codec import Field
from kdcache.store.compression import Compressor
from kdcache.store.places.place import File
from kdcache.store.reading.arena import Arena, Grid, Rows
from kdcache.store.reading.piece import Piece

MOST_BYTES = 512 << 20
"""Largest total of decompressed blocks kept for one field, in bytes."""
_MAP_NORESERVE = 0x4000


class Inflated(Arena):
    """One field of all parts; each block is decompressed when it is first needed."""

    def __init__(
        self,
        field: Field,
        pieces: Callable[[int], Piece],
        grid: Grid,
        tool: Compressor,
        *,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        super().__init__(field, pieces, grid, prot=mmap.PROT_READ | mmap.PROT_WRITE, flags=_MAP_NORESERVE)
        self._tool = tool
        self._bytes = self.array.reshape(-1).view(np.uint8)
        self._most_blocks = max(1, most_bytes // (grid.block_rows * self.row_bytes))
        self._here: dict[int, None] = {}
        if grid.parts == 1 and not self.crowded:  # everything is needed at once, so larger pages are faster to fill
            self.advise(0, grid.rows * self.row_bytes, mmap.MADV_HUGEPAGE)

    @property
    def crowded(self) -> bool:
        """True when there are more blocks than may be kept decompressed."""
        return len(self._ready) > self._most_blocks

    def open_part(self, part: int) -> None:
        """Check that the file of a part exists and has the right length."""
        with self._pieces(part).opened():
            pass

    def _admit(self, blocks: Rows, needed: Rows) -> None:
        with self._lock:
            self._make_room(blocks, needed)
        parts = blocks // self.grid.blocks_per_part
        for part in np.unique(parts).tolist():
            piece = self._pieces(part)
            with piece.opened() as file:
                for block in blocks[parts == part].tolist():
                    self._inflate(piece, file, block)
        with self._lock:
            self._here |= dict.fromkeys(blocks.tolist())
            self._mark(blocks, True)

    def _inflate(self, piece: Piece, file: File, block: int) -> None:
        assert piece.stored is not None
        number = block % self.grid.blocks_per_part
        offset, size = piece.stored[number].tolist()
        stored = file.read(offset, size)
        piece.check(number, stored)
        (start, stop), nbytes = self.block_bytes(block), self.grid.block_rows * self.row_bytes
        if stop - start == nbytes:
            piece.inflate(self._tool, number, stored, self._bytes[start:stop].data)
            return
        filled_up = bytearray(nbytes)  # the last block of the dataset is padded with rows that do not exist
        piece.inflate(self._tool, number, stored, memoryview(filled_up))
        self._bytes[start:stop] = np.frombuffer(filled_up, np.uint8)[: stop - start]

    def _make_room(self, blocks: Rows, needed: Rows) -> None:
        kept = set(needed.tolist())
        excess = max(0, len(self._here) + len(blocks) - self._most_blocks)
        victims = list(islice((block for block in self._here if block not in kept), excess))
        if victims:
            self._mark(np.array(victims), False)
        for block in victims:
            del self._here[block]
            self._give_up(block)

    def _give_up(self, block: int) -> None:
        """Free the memory pages of a block, except those shared with another block in use."""
        start, stop = self.block_bytes(block)
        first, last = start // PAGE * PAGE, -(-stop // PAGE) * PAGE
        part, block_bytes = block // self.grid.blocks_per_part, self.grid.block_rows * self.row_bytes
        lowest = part * self.grid.blocks_per_part
        left = lowest + max(0, first - part * self.stride) // block_bytes
        right = min(lowest + self.grid.blocks_per_part, lowest - (part * self.stride - last) // block_bytes)
        if self._ready[left:block].any():
            first += PAGE
        if self._ready[block + 1 : right].any():
            last -= PAGE
        if first < last:
            self.advise(first, last, mmap.MADV_DONTNEED)

    def _announce(self, first: Rows, last: Rows) -> list[int]:
        spans = zip(
            (first // self.grid.block_rows).tolist(), ((last - 1) // self.grid.block_rows).tolist(), strict=True
        )
        blocks = np.array(sorted({block for low, high in spans for block in range(low, high + 1)}))
        blocks = blocks[~self._ready[blocks]]
        parts = blocks // self.grid.blocks_per_part
        for part in np.unique(parts).tolist():
            piece = self._pieces(part)
            assert piece.stored is not None
            spans = piece.stored[blocks[parts == part] % self.grid.blocks_per_part]
            with piece.opened() as file:
                for offset, size in spans.tolist():
                    file.will_need(offset, size)
        return []
