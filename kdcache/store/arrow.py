"""index.arrow as arrays, whoever wrote it: mapped, and held against the one shape that such a file has.

Arrow's own reader checks that everything lies inside the file once it is asked to; what it would do by itself is decompress
buffers of any size, so a compressed batch is refused before it is read.
"""

import mmap
import os
import struct
from pathlib import Path

import pyarrow as pa

from kdcache import beneath
from kdcache.errors import Damage

_MAGIC = 8
"""bytes before the first message"""
_HEADER, _COMPRESSION = 2, 3
"""places of the record batch in a message, and of its compression in a record batch (Message.fbs)"""
REPAIR = "copy index.arrow from another copy of this cache, or run the build again: it is written from the dataset"
ROW_BYTES = 8 + 4 + 8 + 4
"""of one row in every column, beside the letters of its id"""


def mapped_batch(path: Path) -> pa.RecordBatch:
    """The record batch of an index, nothing of it read or copied; Damage when it is not one."""
    with beneath.opened(path.parent, path.name) as descriptor:
        size = os.fstat(descriptor).st_size
        if size <= _MAGIC:
            raise not_an_index(path, f"it has {size} bytes")
        content = pa.py_buffer(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)).slice(_MAGIC)
    try:
        messages = pa.ipc.MessageReader.open_stream(pa.BufferReader(content))
        messages.read_next_message()
        if _is_compressed(memoryview(messages.read_next_message().metadata)):
            raise not_an_index(path, "it is compressed")
        stream = pa.ipc.open_stream(pa.BufferReader(content))
        if not _fits(stream.schema):
            raise not_an_index(path, "it has other columns")
        batch = stream.read_next_batch()
        batch.validate()
    except (pa.ArrowException, OSError, ValueError, OverflowError, StopIteration, struct.error) as error:
        raise not_an_index(path, "its rows do not lie in it") from error
    if any(batch.column(place).null_count for place in (0, 2, 3)):
        raise not_an_index(path, "rows are without an id")
    return batch


def not_an_index(path: Path, why: str) -> Damage:
    """The bytes are right or not, but they are no index."""
    return Damage(f"{path} is not an index: {why}", hint=REPAIR, path=str(path))


def _fits(schema: pa.Schema) -> bool:
    """Whether these are the four columns; `hash_row` is wider where there are more rows than it could count."""
    kinds = [("image_id", pa.large_string()), ("label", pa.int32()), ("hash", pa.uint64())]
    rows = (pa.uint32(), pa.uint64())
    return any(schema.equals(pa.schema([*kinds, ("hash_row", kind)]), check_metadata=False) for kind in rows)


def _is_compressed(message: memoryview) -> bool:
    """Whether a record batch says that its buffers are compressed: the one thing that Arrow does not show."""
    header = _place(message, struct.unpack_from("<I", message)[0], _HEADER)
    batch = header + struct.unpack_from("<I", message, header)[0]
    return bool(header) and bool(_place(message, batch, _COMPRESSION))


def _place(message: memoryview, table: int, number: int) -> int:
    """Where field `number` of a table lies, 0 when it is not there (FlatBuffers)."""
    offsets = table - struct.unpack_from("<i", message, table)[0]
    if offsets < 0:
        raise ValueError("a table lies before its message")
    if struct.unpack_from("<H", message, offsets)[0] < 6 + 2 * number:
        return 0
    place: int = struct.unpack_from("<H", message, offsets + 4 + 2 * number)[0]
    return table + place if place else 0
