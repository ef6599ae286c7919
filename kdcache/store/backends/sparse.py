"""A file in memory that stores only written pages. HDF5 writes its metadata here, but not the arrays.

So HDF5 never writes to the disk itself (it crashes when the disk is full), and arrays are not copied.
"""

import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from kdcache.base.atomic import Buffer

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

PAGE = 4096
_ZEROS = bytes(PAGE)


class SparseFile(io.RawIOBase):
    """Written pages of a file; everything between them is zeros."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}
        self._position = 0
        self._end = 0

    def seekable(self) -> bool:
        """True: HDF5 writes in any order."""
        return True

    def readable(self) -> bool:
        """True: HDF5 may read its metadata again."""
        return True

    def writable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The current position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._end}[whence]
        self._position = start + offset
        return self._position

    def truncate(self, size: int | None = None) -> int:
        """Set the size of the file."""
        self._end = self._position if size is None else size
        return self._end

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write bytes at the current position."""
        view = memoryview(data).cast("B")
        for number, first, last, done in _spans(self._position, len(view)):
            page = self._pages.setdefault(number, bytearray(PAGE))
            page[first:last] = view[done : done + last - first]
        self._position += len(view)
        self._end = max(self._end, self._position)
        return len(view)

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Read bytes at the current position; unwritten ones are zeros."""
        view = memoryview(buffer).cast("B")
        for number, first, last, done in _spans(self._position, len(view)):
            view[done : done + last - first] = self._pages.get(number, _ZEROS)[first:last]
        self._position += len(view)
        return len(view)

    def pieces(self, arrays: Iterable[tuple[int, memoryview]]) -> Iterator[Buffer]:
        """The bytes of the whole file in order, with `arrays` (offset, bytes) inserted."""
        position = 0
        for offset, data in sorted(arrays, key=lambda item: item[0]):
            yield from self._between(position, offset)
            yield data
            position = offset + len(data)
        yield from self._between(position, self._end)

    def _between(self, start: int, stop: int) -> Iterator[Buffer]:
        for number, first, last, _ in _spans(start, stop - start):
            yield memoryview(self._pages.get(number, _ZEROS))[first:last]


def _spans(start: int, length: int) -> Iterator[tuple[int, int, int, int]]:
    """Split a range by pages: (page, first byte in it, last byte, bytes before it)."""
    done = 0
    while done < length:
        number, first = divmod(start + done, PAGE)
        last = min(PAGE, first + length - done)
        yield number, first, last, done
        done += last - first
