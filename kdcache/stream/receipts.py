"""The receipts of one view: they are read when needed, and a hundredth of their content is kept in memory."""

from dataclasses import dataclass

import numpy as np

from kdcache.base.lazy import lazy
from kdcache.errors import Incomplete
from kdcache.store import Store
from kdcache.store.plan import PartId
from kdcache.store.reading.arena import Rows
from kdcache.store.reading.piece import Piece


@dataclass(frozen=True, slots=True)
class Kept:
    """The values of a receipt that are kept in memory."""

    bad: dict[int, str]
    pieces: dict[str, Piece]


class Receipts:
    """The receipts of a view, by number of the part."""

    def __init__(self, store: Store, view: int) -> None:
        self._store, self._view = store, view
        self._kept: dict[int, Kept] = {}

    def __getitem__(self, number: int) -> Kept:
        if number not in self._kept:
            part = PartId(self._view, number)
            receipt = self._store.receipt(part)
            if receipt is None:
                raise self._incomplete([part])
            pieces = {name: Piece.of(receipt, field, self._store.place) for name, field in self._store.fields.items()}
            self._kept[number] = Kept(dict(receipt.bad), pieces)
        return self._kept[number]

    def piece(self, field: str, number: int) -> Piece:
        """The location of a field in a part."""
        return self[number].pieces[field]

    @lazy
    def rejected(self) -> Rows:
        """Rows whose image could not be used, in order; Incomplete naming the parts that are not built."""
        if missing := self._store.missing_of(self._view):
            raise self._incomplete(missing)
        rows = [row for number in range(self._store.plan.parts_per_view) for row in self[number].bad]
        return np.array(sorted(rows), np.int64)

    def _incomplete(self, missing: list[PartId]) -> Incomplete:
        place, total = self._store.place, self._store.plan.parts_per_view
        names = ", ".join(map(str, missing[:5])) + (", …" if len(missing) > 5 else "")
        return Incomplete(
            f"{place}: {len(missing):,} of {total:,} parts of view {self._view} are not built: {names}",
            hint="run the `kd cache build` that started it again",
            missing=[str(part) for part in missing],
        )
