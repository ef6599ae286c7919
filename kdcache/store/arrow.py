"""Map an index.arrow of any origin as arrays, and check that it has exactly the expected structure.

On request, Arrow's own reader checks that all buffers lie inside the file. But it would decompress buffers of any size, so a
compressed batch is refused before it is read.
"""

import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kdcache.base.arrow_message import is_compressed
from kdcache.errors import Damage
from kdcache.images.source import UNLABELLED
from kdcache.store.places.place import Place, file_digest

_MAGIC = 8
"""Bytes before the first message of an Arrow file."""
REPAIR = "copy index.arrow from another copy of this cache, or run the build again: it is written from the dataset"
ROW_BYTES = 8 + 4 + 8 + 4
"""Bytes of one row in all columns together, without the characters of its id."""


def mapped_batch(place: Place, name: str) -> pa.RecordBatch:
    """Map the record batch of an index without reading or copying it; Damage if the file is not an index."""
    path = place.at(name)
    with place.opened(name) as file:
        if file.nbytes <= _MAGIC:
            raise not_an_index(path, f"it has {file.nbytes} bytes")
        content = pa.py_buffer(file.map()).slice(_MAGIC)
    try:
        messages = pa.ipc.MessageReader.open_stream(pa.BufferReader(content))
        messages.read_next_message()
        if is_compressed(memoryview(messages.read_next_message().metadata)):
            raise not_an_index(path, "it is compressed")
        stream = pa.ipc.open_stream(pa.BufferReader(content))
        if not _fits(stream.schema):
            raise not_an_index(path, "it has other columns")
        batch = stream.read_next_batch()
        batch.validate()
    except (pa.ArrowException, OSError, ValueError, OverflowError, StopIteration, struct.error) as error:
        raise not_an_index(path, "its rows lie outside the file") from error
    if any(batch.column(place).null_count for place in (0, 2, 3)):
        raise not_an_index(path, "some rows have no id")
    return batch


def not_an_index(path: str, why: str) -> Damage:
    """The error for a file that is not an index, whether or not its bytes are intact."""
    return Damage(f"{path} is not an index: {why}", hint=REPAIR, path=path)


def _fits(schema: pa.Schema) -> bool:
    """Whether a schema has the four expected columns; `hash_row` is 64-bit if there are too many rows for 32 bits."""
    kinds = [("image_id", pa.large_string()), ("label", pa.int32()), ("hash", pa.uint64())]
    rows = (pa.uint32(), pa.uint64())
    return any(schema.equals(pa.schema([*kinds, ("hash_row", kind)]), check_metadata=False) for kind in rows)


def check_batch(path: str, batch: pa.RecordBatch, rows: int | None, classes: Sequence[str] | None) -> None:
    """Damage if ids, labels or rows have impossible values: a stranger can write a wrong index with a matching digest."""
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid as error:
        raise not_an_index(path, "its ids are not texts") from error
    count = batch.num_rows
    if rows is not None and count != rows:
        raise not_an_index(path, f"it has {count:,} rows, but the plan has {rows:,}")
    if batch.column(3).type != pa.from_numpy_dtype(row_type(count)):
        raise not_an_index(path, "its row numbers have another width")
    places = values_of(batch.column(3), row_type(count))
    if count and int(places.max()) >= count:
        raise not_an_index(path, f"it refers to row {int(places.max()):,} of {count:,}")
    labels = _known(batch.column(1))
    most = np.iinfo(np.int32).max if classes is None else len(classes) - 1
    if len(labels) and not UNLABELLED <= int(labels.min()) <= int(labels.max()) <= most:
        raise not_an_index(path, f"it has labels {labels.min()} to {labels.max()} of {most + 1:,} classes")


def check_generations(path: str, batch: pa.RecordBatch, ends: Sequence[int]) -> None:
    """Damage if the hashes of a generation refer to rows of another one. With one generation there is nothing to check."""
    rows = values_of(batch.column(3), row_type(batch.num_rows))
    for number, (first, last) in enumerate(pairwise((0, *ends))):
        here = rows[first:last]
        if int(here.min()) < first or int(here.max()) >= last:
            raise not_an_index(
                path, f"generation {number} has rows {first:,} to {last - 1:,}, but refers to other rows"
            )


def index_file_digest(place: Place, name: str) -> str:
    """The digest of the index file of a cache."""
    with place.opened(name) as file:
        return file_digest(file)


def check_size(place: Place, name: str, rows: int) -> None:
    """Damage if an index is missing, or too short for the rows of its plan. The file is not read."""
    path = place.at(name)
    try:
        size = place.size(name)
    except FileNotFoundError:
        raise Damage(f"{path} is missing", hint=REPAIR, path=path) from None
    if size < rows * ROW_BYTES:
        message = f"{path} is damaged: it has {size:,} bytes, too few for the {rows:,} rows of the plan"
        raise Damage(message, hint=REPAIR, path=path)


def values_of(column: pa.Array, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The values of a column without nulls, not copied (pyarrow's own conversion would import pandas: 28 MB)."""
    return np.frombuffer(column.buffers()[1], dtype, len(column))


def _known(column: pa.Array) -> NDArray[Any]:
    """The values of a column that are not null (pyarrow's own function would import more modules: 10 ms)."""
    if column.null_count == len(column):
        return np.zeros(0, np.int32)
    values = values_of(column, np.dtype(np.int32))
    if not column.null_count:
        return values
    known = np.frombuffer(column.buffers()[0], np.uint8)
    return values[np.unpackbits(known, count=len(column), bitorder="little").view(np.bool_)]


def row_type(count: int) -> np.dtype[Any]:
    """The type of the column `hash_row` in an index with `count` rows."""
    return np.dtype(np.uint32 if count <= 1 << 32 else np.uint64)
