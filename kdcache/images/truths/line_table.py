"""Read `truths.jsonl`: one JSON object per line, `{"image_id": …, "questions": […], …}`.

It is read once to find where lines begin and which image each is about; a line is parsed again when it is requested. For many
images `truths.arrow` is better, because only requested values are parsed (`write_truths` makes it from the same records).
"""

import mmap
import os
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kdcache.base.foreign import opened
from kdcache.base.plain_json import NotPlain, parse_json
from kdcache.errors import UsageError
from kdcache.images.truths.bounds import MOST_ROW_BYTES
from kdcache.images.truths.table import IDS
from kdcache.images.unique import Lookup

_HINT = f'a line is an object such as {{"{IDS}": "a/1.jpg", "text": "…"}}'


class LineTable:
    """An open file of truths with one row per line."""

    def __init__(self, path: str) -> None:
        self._path = path
        with opened(Path(path), hint="check its permissions", error=UsageError) as file:
            size = os.fstat(file.fileno()).st_size
            self._content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        self._starts, self._names = array("q", [0]), set[str]()
        self._last: tuple[int, dict[str, Any]] | None = (
            None  # the row that was parsed last: its columns are read together
        )
        self.lookup = Lookup(self._ids())
        """Finds the row of an image id."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of its columns, without the ids."""
        return tuple(sorted(self._names))

    def _ids(self) -> Iterator[str]:
        """Yield the id of every line, and record where the line begins and what columns it has."""
        while (start := self._starts[-1]) < len(self._content):
            most = min(len(self._content), start + MOST_ROW_BYTES + 1)
            stop = self._content.find(b"\n", start, most) + 1 or most
            record = self._record(self._content[start:stop], len(self._starts) - 1)
            self._starts.append(stop)
            self._names.update(record.keys() - {IDS})
            yield str(record[IDS])

    def _record(self, line: bytes, row: int) -> dict[str, Any]:
        if len(line) > MOST_ROW_BYTES:
            raise self._wrong(row, f"it has more than {MOST_ROW_BYTES:,} bytes")
        try:
            record = parse_json(line)
        except NotPlain as reason:
            raise self._wrong(row, str(reason)) from reason
        if not isinstance(record, dict):
            raise self._wrong(row, "it is not an object")
        if not isinstance(record.get(IDS), str):
            raise self._wrong(row, f"its {IDS} is missing or not a text")
        return record

    def id_at(self, row: int) -> str:
        """The image id of a row."""
        return str(self._at(row)[IDS])

    def value(self, row: int, name: str) -> Any:
        """The plain value of a column in a row; None if it has none."""
        return self._at(row).get(name)

    def place(self, row: int) -> str:
        """A description of a row for messages."""
        return f"line {row + 1} of {self._path}"

    def _at(self, row: int) -> dict[str, Any]:
        last = self._last
        if last is None or last[0] != row:
            last = self._last = (row, self._record(self._content[self._starts[row] : self._starts[row + 1]], row))
        return last[1]

    def _wrong(self, row: int, why: str) -> UsageError:
        return UsageError(f"{self.place(row)} cannot be used: {why}", hint=_HINT)
