"""The file of truths beside the images: `truths.arrow`, or `truths.jsonl` with the same columns.

Input: the folder of a source. Output: its columns, and the plain values of any images. Each process opens the file when it first
needs it, and keeps only where the rows are (24 bytes a row). `Truths` checks the values.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from kdcache.base.lazy import lazy
from kdcache.errors import UsageError
from kdcache.images.truths.kinds import KINDS, near
from kdcache.images.truths.table import ARROW, LINES, Table
from kdcache.images.unique import refuse_duplicates


class Sidecar:
    """The truths beside the images of a folder, if there are any. Pickles as the path of the folder."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __reduce__(self) -> tuple[type["Sidecar"], tuple[str]]:
        return Sidecar, (self._folder,)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns; empty if there is no such file."""
        return () if self._table is None else self._table.columns

    def read(self, names: Sequence[str], ids: Sequence[str]) -> Mapping[str, Sequence[Any]]:
        """Column name -> the plain value of each image, None where unknown."""
        found: dict[str, list[Any]] = {name: [] for name in names}
        for image_id in ids:  # image by image, so that a line is parsed once for all its columns
            row = self._row_of(image_id)
            for name, values in found.items():
                values.append(None if row is None else self._value(row, name))
        return found

    def _value(self, row: int, name: str) -> Any:
        assert self._table is not None, "there are columns only where there is a table"
        return self._table.value(row, name)

    def _row_of(self, image_id: str) -> int | None:
        if self._table is None:
            return None
        rows = self._table.lookup.candidates(image_id)
        return next((row for row in rows if self._table.id_at(row) == image_id), None)

    @lazy
    def _table(self) -> Table | None:
        there = [name for name in (ARROW, LINES) if os.path.lexists(os.path.join(self._folder, name))]
        if len(there) > 1:
            message = f"{self._folder} has both {ARROW} and {LINES}"
            raise UsageError(message, hint="keep one of the two: each has all truths of the images")
        if not there:
            return None
        path = os.path.join(self._folder, there[0])
        table = _open_arrow(path) if there[0] == ARROW else _open_lines(path)
        _expect_kinds(table.columns, path)
        refuse_duplicates(
            table.lookup, table.id_at, table.place, "an image has one row: put its truths into columns of that"
        )
        return table


def _open_arrow(path: str) -> Table:
    from kdcache.images.truths.arrow_table import ArrowTable

    return ArrowTable(path)


def _open_lines(path: str) -> Table:
    from kdcache.images.truths.line_table import LineTable

    return LineTable(path)


def _expect_kinds(columns: Sequence[str], path: str) -> None:
    """UsageError for a column that is not a kind of truth, or whose values do not come from such a file."""
    for name in columns:
        kind = KINDS.get(name)
        if kind is None:
            raise UsageError(
                f"{path} has a column {name!r}, which is not a kind of truth", hint=near(name, _FROM_FILES)
            )
        if kind.from_listing:
            hint = "classes are those of the folders, of FILE.cls in tars, or of the dataset: see docs/sources.md"
            raise UsageError(f"{path} has a column {name!r}, which is not read from there", hint=hint)


_FROM_FILES = [kind.name for kind in KINDS.values() if not kind.from_listing]
