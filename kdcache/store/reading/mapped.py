"""Arena of an uncompressed field: files are mapped into it, so that a gather copies directly from the page cache."""

import mmap
import os
import re
from collections.abc import Callable

import numpy as np

from kdcache.base import addresses
from kdcache.base.addresses import PAGE
from kdcache.codecs.codec import Field
from kdcache.errors import Damage, StorageError
from kdcache.store.parts.receipt import MEND
from kdcache.store.places.place import File
from kdcache.store.reading.arena import ANNOUNCED_BYTES, HUGE, Arena, Grid, Rows
from kdcache.store.reading.piece import Piece

_DENSE_SINCE = (5, 18)
MOST_PARTS = 8192
"""Most parts mapped at once; by default the kernel allows 65,530 maps per process."""


def reads_huge_pages() -> bool:
    """Whether this kernel can fill huge pages from files, which takes a third of the time of small pages."""
    version = tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])
    return version >= _DENSE_SINCE and os.path.isdir("/sys/kernel/mm/transparent_hugepage")


class Mapped(Arena):
    """One field of all parts; each part is mapped when it is first needed.

    `dense`: needed rows are loaded as whole huge pages, including the rows around them. For data that fits into memory.
    """

    def __init__(
        self,
        field: Field,
        pieces: Callable[[int], Piece],
        grid: Grid,
        *,
        offset: int,
        check: bool,
        dense: bool,
        most_parts: int = MOST_PARTS,
    ) -> None:
        super().__init__(field, pieces, grid, offset=offset)
        self._check, self._dense, self._most_parts = check, dense, most_parts
        self._here: dict[int, Piece] = {}
        self._bytes = memoryview(self.array.reshape(-1).view(np.uint8).data)

    @property
    def crowded(self) -> bool:
        """True when there are more parts than may be mapped at once."""
        return self.grid.parts > self._most_parts

    def open_part(self, part: int) -> None:
        """Map the file of a part."""
        with self._lock:
            self._map(part, [part])

    def _admit(self, blocks: Rows, needed: Rows) -> None:
        parts = blocks // self.grid.blocks_per_part
        with self._lock:
            wanted = np.unique(needed // self.grid.blocks_per_part).tolist()
            pieces = {part: self._map(part, wanted) for part in np.unique(parts).tolist()}
        if self._check:
            for block, part in zip(blocks.tolist(), parts.tolist(), strict=True):
                start, stop = self.block_bytes(block)
                pieces[part].check(block % self.grid.blocks_per_part, self._bytes[start:stop])
            with self._lock:
                self._mark(blocks, True)

    def _announce(self, first: Rows, last: Rows) -> list[int]:
        """Announce whole blocks if they will be checked, only the rows if they have been."""
        wanted = np.unique(first // self.grid.rows_per_part).tolist()
        for part in wanted:
            self._map(part, wanted)
        if self._check:
            low, high = first // self.grid.block_rows, (last - 1) // self.grid.block_rows
            first = np.where(self._ready[low], first, low * self.grid.block_rows)
            last = np.where(self._ready[high], last, np.minimum((high + 1) * self.grid.block_rows, self.grid.rows))
        spans = self._bytes_of(first, last)
        if self._dense:
            ends = [((self.base + start) // HUGE, (self.base + stop - 1) // HUGE) for start, stop in spans]
            return sorted({page for low, high in ends for page in range(low, high + 1)})
        for start, stop in spans:
            for here in range(start, stop, ANNOUNCED_BYTES):
                self.advise(here, min(here + ANNOUNCED_BYTES, stop), mmap.MADV_WILLNEED)
        return []

    def _map(self, part: int, wanted: list[int]) -> Piece:
        if part not in self._here:
            self._make_room(wanted)
            piece = self._pieces(part)
            if piece.offset % PAGE:
                message = (
                    f"part {piece.part}, field {piece.field!r} starts at byte {piece.offset}, not a multiple of {PAGE}"
                )
                raise Damage(message, hint=MEND, part=piece.part)
            with piece.opened() as file:
                self._map_at(part, file, piece)
            if self._dense:
                self.advise(part * self.stride, part * self.stride + piece.nbytes, mmap.MADV_HUGEPAGE)
            self._here[part] = piece
            if not self._check:
                self._mark(self._blocks_of(part), True)
        return self._here[part]

    def _blocks_of(self, part: int) -> slice:
        return slice(part * self.grid.blocks_per_part, (part + 1) * self.grid.blocks_per_part)

    def _map_at(self, part: int, file: File, piece: Piece) -> None:
        try:
            file.map_at(self.base + part * self.stride, piece.offset, piece.nbytes)
        except OSError as error:
            message = f"cannot map part {part} of {self.field.name!r}: {error.strerror}"
            raise StorageError(message, hint="raise vm.max_map_count") from error

    def _make_room(self, wanted: list[int]) -> None:
        """Unmap the oldest mapped part that is not needed now."""
        if len(self._here) < self._most_parts:
            return
        needed = set(wanted)
        oldest = next((part for part in self._here if part not in needed), None)
        if oldest is not None:
            addresses.map_nothing(self.base + oldest * self.stride, self.stride)
            self._mark(self._blocks_of(oldest), False)
            del self._here[oldest]
