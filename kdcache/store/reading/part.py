"""One part as arrays, for code that processes a cache part by part. Rows are counted from the start of the part.

Each field is an arena of that one part, so that all mapping and checking is in one place (see arena.py).
"""

from collections.abc import Iterator, Mapping
from sys import maxsize
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcache.base.lazy import lazy
from kdcache.codecs.codec import Field
from kdcache.store.parts.receipt import Receipt
from kdcache.store.places.place import Place
from kdcache.store.plan import Layout
from kdcache.store.reading.arena import Rows
from kdcache.store.reading.choose import make_arena
from kdcache.store.reading.piece import Piece


class MappedField:
    """One field of one part; every row that it returns has been checked."""

    def __init__(self, field: Field, layout: Layout, receipt: Receipt, place: Place, most_bytes: int) -> None:
        self.field = field
        self.rows = 1 if field.per_part else receipt.rows
        self._piece = piece = Piece.of(receipt, field, place)
        # Raises Damage for a missing file now, and not at the first row.
        if field.per_part:
            with self._piece.opened():
                return
        self._arena = make_arena(field, layout, self.rows, lambda _: piece, 0, most_bytes=most_bytes)
        self._arena.open_part(0)

    @lazy
    def _array(self) -> NDArray[Any]:
        """The array of a field that a part has only once."""
        return np.frombuffer(self._piece.whole(), self.field.dtype).reshape(self.field.shape)

    def whole(self) -> NDArray[Any]:
        """All rows, read-only: a map of the file or, if compressed, the whole decompressed field."""
        if self.field.per_part:
            return self._array
        self._arena.touch(np.arange(self.rows))
        array: NDArray[Any] = self._arena.array.view()
        array.flags.writeable = False
        return array

    def take(self, rows: Rows, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Copy rows into `out`, or into a new array. Only the needed blocks of compressed fields are decompressed."""
        if len(rows) and not 0 <= rows.min() <= rows.max() < self.rows:
            raise IndexError(f"rows {rows.min()}..{rows.max()} of a part with {self.rows}")
        if self.field.per_part:
            return np.take(self._array, rows, axis=0, out=out)
        if out is None:
            out = np.empty((len(rows), *self.field.shape), self.field.dtype)
        self._arena.gather(rows, out)
        return out

    def announce(self, first: int, last: int) -> None:
        """Tell the kernel that the rows first..last-1 will be needed soon."""
        if not self.field.per_part:
            self._arena.announce(np.array([first]), np.array([last]))

    def check_each(self) -> None:
        """Check all blocks one after another, and decompress them if they are compressed."""
        if self.field.per_part:
            self._piece.whole()
            return
        for row in range(0, self.rows, self._piece.block_rows):
            self._arena.touch(np.array([row]))


class MappedPart(Mapping[str, MappedField]):
    """The fields of one part by name, each mapped when it is first requested.

    `most_bytes`: how many bytes of a field's decompressed blocks are kept; `whole` needs enough for all of them.
    """

    def __init__(
        self, receipt: Receipt, layout: Layout, fields: dict[str, Field], place: Place, *, most_bytes: int = maxsize
    ) -> None:
        self.receipt = receipt
        self.rows = receipt.row_range
        self._layout, self._fields, self._place, self._most_bytes = layout, fields, place, most_bytes
        self._mapped: dict[str, MappedField] = {}

    def __getitem__(self, name: str) -> MappedField:
        if name not in self._mapped:
            field = self._fields[name]
            self._mapped[name] = MappedField(field, self._layout, self.receipt, self._place, self._most_bytes)
        return self._mapped[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    @lazy
    def good(self) -> NDArray[np.bool_]:
        """Mask of the rows that hold a teacher's signals; the other rows belong to unreadable images."""
        mask = np.ones(self.receipt.rows, np.bool_)
        mask[[row - self.receipt.first_row for row in self.receipt.bad]] = False
        return mask
