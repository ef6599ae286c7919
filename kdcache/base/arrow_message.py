"""What an Arrow message says of itself that pyarrow does not show: whether its record batch is compressed.

Arrow's own reader decompresses buffers of any size, so whoever reads a stranger's file asks first.
"""

import struct

_HEADER, _COMPRESSION = 2, 3
"""Field numbers of the record batch in a message, and of the compression in a record batch (Message.fbs)."""


def is_compressed(message: memoryview) -> bool:
    """Whether a record batch says that its buffers are compressed. ValueError or struct.error where it is none."""
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
