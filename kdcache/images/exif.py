"""Read the orientation of a picture from its EXIF block, and turn pixels upright.

Input: the bytes of an EXIF block, with or without its `Exif` prefix. Output: 1 to 8. Only EXIF counts: orientation in XMP or in
legacy text chunks is ignored, as browsers ignore it. An unreadable block is ignored too, so the picture is not turned.
"""

import struct

import numpy as np
from numpy.typing import NDArray

UPRIGHT = 1
_ORIENTATION = 0x0112
_BYTE, _SHORT, _LONG = 1, 3, 4
_PREFIX = b"Exif\0\0"


def orientation(exif: bytes) -> int:
    """The orientation of a picture; 1 (upright) if the block does not tell it."""
    block = exif.removeprefix(_PREFIX)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return UPRIGHT
    try:
        (directory,) = struct.unpack_from(order + "I", block, 4)
        (count,) = struct.unpack_from(order + "H", block, directory)
        for entry in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", block, entry)
            if tag == _ORIENTATION:
                return _value(block, entry + 8, order, kind)
    except struct.error:
        return UPRIGHT
    return UPRIGHT


def _value(block: bytes, place: int, order: str, kind: int) -> int:
    letter = {_BYTE: "B", _SHORT: "H", _LONG: "I"}.get(kind)
    if letter is None:
        return UPRIGHT
    value = int(struct.unpack_from(order + letter, block, place)[0])
    return value if 1 <= value <= 8 else UPRIGHT


def upright(pixels: NDArray[np.uint8], tag: int) -> NDArray[np.uint8]:
    """Turn and mirror pixels (height, width, 3) according to an orientation tag."""
    if tag >= 5:
        pixels = pixels.transpose(1, 0, 2)
    rows = -1 if tag in (3, 4, 7, 8) else 1
    columns = -1 if tag in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(pixels[::rows, ::columns])
