"""Read `truths.arrow`: a memory-mapped Arrow IPC file with one row per image. `write_truths` makes one.

Columns are texts (`large_string`): `image_id`, then any of the truths. `text` and `description` are stored as plain text, all
other truths as JSON. Record batches have some hundred rows each and are uncompressed, so that only requested values are read.
The file may come from a stranger: offsets and characters of a column are checked before a batch's first value is read.
"""

import mmap
import os
import struct
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from kdcache.base.arrow_message import is_compressed
from kdcache.base.foreign import opened
from kdcache.base.plain_json import NotPlain, parse_json
from kdcache.errors import Damage, UsageError
from kdcache.images.truths.bounds import MOST_ROW_BYTES
from kdcache.images.truths.kinds import KINDS
from kdcache.images.truths.table import IDS
from kdcache.images.unique import Lookup

_MAGIC = 8
"""Bytes before the first message of an Arrow file."""
_HINT = "write it again: kdcache.images.truths.write_truths makes one"
_NO_BATCH = (pa.ArrowException, OSError, ValueError, OverflowError, struct.error)


class ArrowTable:
    """A memory-mapped file of truths in record batches."""

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._schema, self._batches = _mapped(path)
            self._names = tuple(self._schema.names)
        except _NO_BATCH as error:
            raise self._damage("its rows lie outside the file") from error
        self._expect_texts()
        self._ends = [0]
        for batch in self._batches:
            self._ends.append(self._ends[-1] + batch.num_rows)
        self._checked = set[tuple[int, str]]()
        self.lookup = Lookup(self._ids())
        """Finds the row of an image id."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of its columns, without the ids."""
        return tuple(name for name in self._names if name != IDS)

    def id_at(self, row: int) -> str:
        """The image id of a row."""
        return str(self._text(row, IDS))

    def value(self, row: int, name: str) -> Any:
        """The plain value of a column in a row; None if it has none."""
        text = self._text(row, name)
        if text is None or ((kind := KINDS.get(name)) is not None and kind.plain_text):
            return text
        try:
            return parse_json(text)
        except NotPlain as reason:
            raise UsageError(f"{name} in {self.place(row)} cannot be used: {reason}", hint=_HINT) from reason

    def place(self, row: int) -> str:
        """A description of a row for messages."""
        return f"row {row} of {self._path}"

    def _text(self, row: int, name: str) -> str | None:
        number = bisect_right(self._ends, row) - 1
        value = self._column(number, name)[row - self._ends[number]]
        if value.is_valid and len(value.as_buffer()) > MOST_ROW_BYTES:
            what = f"it has more than {MOST_ROW_BYTES:,} bytes"
            raise UsageError(f"{name} in {self.place(row)} cannot be used: {what}", hint=_HINT)
        text: str | None = value.as_py()
        return text

    def _column(self, number: int, name: str) -> pa.Array:
        """A column of a batch; its offsets and characters are checked when it is first used."""
        column = self._batches[number].column(self._schema.get_field_index(name))
        if (number, name) not in self._checked:
            try:
                column.validate(full=True)
            except pa.ArrowInvalid as error:
                raise self._damage(f"column {name!r} of record batch {number} holds no texts") from error
            self._checked.add((number, name))
        return column

    def _ids(self) -> Iterator[str]:
        for number in range(len(self._batches)):
            column = self._column(number, IDS)
            if column.null_count:
                raise UsageError(f"{self._path} has rows without {IDS}", hint=_HINT)
            yield from column.to_pylist()

    def _expect_texts(self) -> None:
        names = self._names
        if names.count(IDS) != 1 or len(set(names)) < len(names):
            raise UsageError(f"{self._path} has columns {', '.join(names)}: {IDS} is needed, and each once", hint=_HINT)
        for field in self._schema:
            if field.type not in (pa.large_string(), pa.string()):
                message = f"column {field.name!r} of {self._path} holds {field.type}, not texts"
                raise UsageError(message, hint=f"{_HINT}; values that are not texts are stored as JSON")

    def _damage(self, why: str) -> Damage:
        return Damage(f"{self._path} is damaged or not a file of truths: {why}", hint=_HINT, path=self._path)


def _mapped(path: str) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    """The schema and the record batches of a file; their values are not read yet."""
    with opened(Path(path), hint="check its permissions", error=UsageError) as file:
        if os.fstat(file.fileno()).st_size <= _MAGIC:
            raise ValueError("it is too short")
        content = pa.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)).slice(_MAGIC)
    messages = pa.ipc.MessageReader.open_stream(pa.BufferReader(content))
    schema = pa.ipc.read_schema(messages.read_next_message())
    batches: list[pa.RecordBatch] = []
    while True:
        try:
            message = messages.read_next_message()
        except StopIteration:
            return schema, batches
        if message.type != "record batch" or is_compressed(memoryview(message.metadata)):
            raise ValueError("it has other messages than plain record batches")
        batch = pa.ipc.read_record_batch(message, schema)
        batch.validate()
        batches.append(batch)
