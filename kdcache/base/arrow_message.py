"""Read from an Arrow message what pyarrow does not show: whether its record batch is compressed.

Arrow's own reader decompresses buffers of any size, so files from strangers are checked with this first.
"""

import struct

_HEADER, _COMPRESSION = 2, 3
"""Field numbers in Arrow's Message.fbs: of the record batch in a message, of the compression in a record batch."""


def is_compressed(message: memoryview) -> bool:
    """Whether a record batch declares compressed buffers. ValueError or struct.error when the message is malformed."""
    header = _place(message, struct.unpack_from("<I", message)[0], _HEADER)
    batch = header + struct.unpack_from("<I", message, header)[0]
    return bool(header) and bool(_place(message, batch, _COMPRESSION))


def _place(message: memoryview, table: int, number: int) -> int:
    """Offset of field `number` of a FlatBuffers table; 0 when the field is absent."""
    offsets = table - struct.unpack_from("<i", message, table)[0]
    if offsets < 0:
        raise ValueError("a table lies before its message")
    if struct.unpack_from("<H", message, offsets)[0] < 6 + 2 * number:
        return 0
    place: int = struct.unpack_from("<H", message, offsets + 4 + 2 * number)[0]
    return table + place if place else 0
