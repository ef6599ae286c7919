"""Read MATLAB 5 files, just enough for the `meta.mat` of the ImageNet devkit.

Input: the bytes of the file. Output: its variables; text as str, numbers as a list, a cell array as a list, a struct array
as a list of dictionaries.
"""

import struct
import zlib
from typing import Any

from kdcache.errors import Damage

_HEADER = 128
_COMPRESSED, _MATRIX = 15, 14
_NUMBERS = {1: "b", 2: "B", 3: "h", 4: "H", 5: "i", 6: "I", 7: "f", 9: "d", 12: "q", 13: "Q"}
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CELL, _STRUCT, _CHAR = 1, 2, 4
_MAX_BYTES = 1 << 26


def read_mat(raw: bytes, where: str) -> dict[str, Any]:
    """Variables by name. Damage when the file cannot be read as MATLAB 5."""
    order = {b"IM": "<", b"MI": ">"}.get(raw[126:128])
    if order is None:
        raise Damage(f"{where} is not a MATLAB 5 file", hint="fetch it again from its publisher")
    found: dict[str, Any] = {}
    try:
        elements = _Elements(raw[_HEADER:], order)
        while elements.left():
            kind, data = elements.next()
            if kind == _COMPRESSED:
                kind, data = _Elements(zlib.decompressobj().decompress(data, _MAX_BYTES), order).next()
            if kind == _MATRIX:
                name, value = _matrix(data, order)
                found[name] = value
    except (struct.error, zlib.error, LookupError, TypeError, ValueError, RecursionError) as error:
        raise Damage(f"{where} is damaged: {error}", hint="fetch it again from its publisher") from error
    return found


class _Elements:
    """Reads the elements of a file, one after another: each is a type and bytes."""

    def __init__(self, data: bytes, order: str) -> None:
        self._data, self._order, self._place = data, order, 0

    def left(self) -> bool:
        """Whether another element follows."""
        return self._place < len(self._data)

    def next(self) -> tuple[int, bytes]:
        """Type and bytes of the next element."""
        (word,) = struct.unpack_from(self._order + "I", self._data, self._place)
        if word >> 16:  # compact form: up to four bytes directly after the type
            start, kind, size = self._place + 4, word & 0xFFFF, word >> 16
            self._place += 8
        else:
            (size,) = struct.unpack_from(self._order + "I", self._data, self._place + 4)
            start, kind = self._place + 8, word
            self._place = start + (size if kind == _COMPRESSED else -(-size // 8) * 8)
        if start + size > len(self._data):
            raise struct.error("an element reaches past the end")
        return kind, self._data[start : start + size]

    def numbers(self) -> list[Any]:
        """The next element as numbers."""
        kind, data = self.next()
        letter = _NUMBERS[kind]
        return list(struct.unpack(f"{self._order}{len(data) // struct.calcsize(letter)}{letter}", data))


def _matrix(data: bytes, order: str) -> tuple[str, Any]:
    if not data:
        return "", []
    elements = _Elements(data, order)
    kind = elements.numbers()[0] & 0xFF
    count = 1
    for side in elements.numbers():
        count *= side
    name = elements.next()[1].decode("latin-1")
    if kind == _CHAR:
        code, text = elements.next()
        endian = {"<": "-le", ">": "-be"}[order] if _TEXTS[code].startswith("utf-") and code != 16 else ""
        return name, text.decode(_TEXTS[code] + endian)
    if kind == _CELL:
        return name, [_matrix(elements.next()[1], order)[1] for _ in range(count)]
    if kind == _STRUCT:
        (width,) = elements.numbers()
        names = elements.next()[1]
        if not names:
            return name, []
        fields = [names[i : i + width].partition(b"\0")[0].decode("latin-1") for i in range(0, len(names), width)]
        return name, [{field: _matrix(elements.next()[1], order)[1] for field in fields} for _ in range(count)]
    return name, elements.numbers()
