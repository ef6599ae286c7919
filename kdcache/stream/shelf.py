"""One view of a cache, ready to be read. Job: hand out the fields of any rows, whatever parts they lie in.

Input: the store and a view. Output: rows gathered into given buffers, checked on first touch; the rows that must not be
read; arrays that belong to a part as a whole. Receipts are read, and files mapped, when a part is first needed.
"""

import os
from collections.abc import Iterable
from functools import partial
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from kdcache.codecs.codec import Field, Fields
from kdcache.store import Store
from kdcache.store.blocks import field_compressor
from kdcache.stream.arena import Arena, Grid, Rows
from kdcache.stream.inflated import Inflated
from kdcache.stream.mapped import Mapped
from kdcache.stream.receipts import Receipts


class Shelf:
    """The fields of one view as arrays over all its rows."""

    def __init__(self, store: Store, view: int, *, check: bool = True) -> None:
        self.store, self.view, self.check = store, view, check
        self._receipts = Receipts(store, view)
        self._lock = Lock()
        self._arenas: dict[str, Arena] = {}
        self._whole: dict[tuple[str, int], NDArray[np.generic]] = {}

    def rejected(self) -> Rows:
        """Rows whose image could not be used, in order; Incomplete naming the parts that are not built."""
        return self._receipts.rejected

    def reason(self, row: int) -> str | None:
        """Why the image of a row could not be used; None when it could."""
        return self._receipts[row // self.store.plan.layout.rows_per_part].bad.get(row)

    def fetch(self, rows: Rows, out: Fields) -> None:
        """Gather rows into the first len(rows) rows of each array of `out`, named as the fields are."""
        for name, array in out.items():
            if len(rows):
                self.arena(name, int(rows[0])).gather(rows, array[: len(rows)])

    def touched(self, names: Iterable[str]) -> bool:
        """True when every row of these fields was read before."""
        return all(name in self._arenas and self._arenas[name].touched for name in names)

    def announce(self, first: Rows, last: Rows, names: Iterable[str]) -> None:
        """Tell the kernel that these fields of these spans of rows (ascending) will be wanted soon."""
        for name in names:
            if len(first):
                self.arena(name, int(first[0])).announce(first, last)

    def whole(self, name: str, part: int) -> NDArray[np.generic]:
        """An array that belongs to a part as a whole, checked."""
        if (name, part) not in self._whole:
            field, piece = self.store.fields[name], self._receipts.piece(name, part)
            descriptor = piece.open()
            try:
                content = os.pread(descriptor, piece.nbytes, piece.offset)
            finally:
                os.close(descriptor)
            if self.check:
                piece.check(0, content)
            self._whole[name, part] = np.frombuffer(content, field.dtype).reshape(field.shape)
        return self._whole[name, part]

    def arena(self, name: str, row: int) -> Arena:
        """All rows of one field; `row` is one that is about to be read."""
        with self._lock:
            if name not in self._arenas:
                self._arenas[name] = self._make_arena(self.store.fields[name], row)
            return self._arenas[name]

    def _make_arena(self, field: Field, row: int) -> Arena:
        layout, rows = self.store.plan.layout, self.store.plan.dataset.rows
        grid = Grid(rows, layout.rows_per_part, layout.block_rows[field.name])
        pieces = partial(self._receipts.piece, field.name)
        tool = field_compressor(layout, field)
        if tool is not None:
            return Inflated(field, pieces, grid, tool)
        # Parts of one layout have their fields at the same offset; which part is asked does not matter.
        return Mapped(field, pieces, grid, offset=pieces(row // layout.rows_per_part).offset, check=self.check)
