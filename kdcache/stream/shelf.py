"""One view of a cache, ready to be read: it returns the fields of any rows, whatever parts they are in.

Input: the store and a view. Output: rows gathered into given buffers, checked when first read; the rows that must not be
read; arrays that a part has only once. Receipts are read, and files mapped, when a part is first needed.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from kdcache.base.addresses import PAGE
from kdcache.codecs.codec import Field, Fields
from kdcache.store import Store
from kdcache.store.reading.arena import Arena, Rows
from kdcache.store.reading.choose import make_arena
from kdcache.store.reading.mapped import reads_huge_pages
from kdcache.stream.receipts import Receipts

Page = tuple[str, int]
"""Name of a field, and number of a huge page in its arena."""


class Shelf:
    """The fields of one view as arrays over all its rows."""

    def __init__(self, store: Store, view: int, *, check: bool = True) -> None:
        store.expect_rows()
        self.store, self.view, self.check = store, view, check
        self.dense = reads_huge_pages() and self._fits_into_memory()
        """Whether the view fits into memory, so that reading more than requested costs nothing."""
        self._receipts = Receipts(store, view)
        self._lock = Lock()
        self._arenas: dict[str, Arena] = {}
        self._whole: dict[tuple[str, int], NDArray[np.generic]] = {}

    def rejected(self) -> Rows:
        """Rows whose image could not be used, in order; Incomplete naming the parts that are not built."""
        return self._receipts.rejected

    def reason(self, row: int) -> str | None:
        """Why the image of a row could not be used; None if it could."""
        return self._receipts[row // self.store.plan.layout.rows_per_part].bad.get(row)

    def fetch(self, rows: Rows, out: Fields) -> None:
        """Gather rows into the first len(rows) rows of each array of `out`, by field name."""
        for name, array in out.items():
            if len(rows):
                self.arena(name, int(rows[0])).gather(rows, array[: len(rows)])

    def touched(self, names: Iterable[str]) -> bool:
        """True when all rows of these fields have been read and checked before."""
        return all(name in self._arenas and self._arenas[name].touched for name in names)

    def announce(self, first: Rows, last: Rows, names: Iterable[str]) -> list[Page]:
        """Tell the kernel that these fields of these ascending spans of rows will be needed soon.

        Returns pages that the caller should load instead, in threads that may wait for the disk.
        """
        if not len(first):
            return []
        arenas = {name: self.arena(name, int(first[0])) for name in names}
        return [(name, page) for name, arena in arenas.items() for page in arena.announce(first, last)]

    def bring(self, page: Page) -> None:
        """Load one huge page from disk."""
        self._arenas[page[0]].bring(page[1])

    def whole(self, name: str, part: int) -> NDArray[np.generic]:
        """A checked array that a part has only once."""
        if (name, part) not in self._whole:
            field, piece = self.store.fields[name], self._receipts.piece(name, part)
            content = piece.whole(check=self.check)
            self._whole[name, part] = np.frombuffer(content, field.dtype).reshape(field.shape)
        return self._whole[name, part]

    def arena(self, name: str, row: int) -> Arena:
        """The arena of one field; `row` is a row that will be read."""
        with self._lock:
            if name not in self._arenas:
                self._arenas[name] = self._make_arena(self.store.fields[name], row)
            return self._arenas[name]

    def _make_arena(self, field: Field, row: int) -> Arena:
        layout, rows = self.store.plan.layout, self.store.plan.dataset.rows
        pieces = partial(self._receipts.piece, field.name)
        # Small rows of a batch come from many places; loading huge pages around each would delay the first batch.
        dense = self.dense and field.row_bytes >= PAGE
        return make_arena(field, layout, rows, pieces, row // layout.rows_per_part, check=self.check, dense=dense)

    def _fits_into_memory(self) -> bool:
        row_bytes = sum(field.row_bytes for field in self.store.fields.values() if not field.per_part)
        return row_bytes * self.store.plan.dataset.rows < available_bytes() // 2


def available_bytes() -> int:
    """Memory in bytes that is available without swapping, page cache included."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
