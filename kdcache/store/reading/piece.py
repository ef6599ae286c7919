"""One field of one part as a reader needs it: the location of its bytes and their checksums. Made from a receipt."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import xxhash
from numpy.typing import NDArray

from kdcache.base.atomic import Buffer
from kdcache.codecs.codec import Field
from kdcache.errors import Damage
from kdcache.store.compression import Compressor, NotThatBlock
from kdcache.store.parts.receipt import Receipt, opened, wrong_bytes
from kdcache.store.places.place import File, Place


@dataclass(frozen=True, slots=True)
class Piece:
    """Location and checksums of a field of a part. It is small, because a cache may have 100,000 of them."""

    part: str
    field: str
    place: Place
    file: str
    """Name of the file in the place."""
    file_bytes: int
    first_row: int
    rows: int
    offset: int
    nbytes: int
    block_rows: int
    expected: NDArray[np.uint64]
    """Checksum (xxh3-64) of every stored block."""
    stored: NDArray[np.int64] | None
    """(offset, bytes) of every block if the blocks are compressed, else None."""

    @classmethod
    def of(cls, receipt: Receipt, field: Field, place: Place) -> "Piece":
        """Make it from the record of a field in a receipt. A field that a part has only once is a single block."""
        seal = receipt.fields[field.name]
        return cls(
            part=str(receipt.id),
            field=field.name,
            place=place,
            file=seal.file,
            file_bytes=receipt.bytes_of(seal.file),
            first_row=receipt.first_row,
            rows=receipt.rows,
            offset=seal.offset,
            nbytes=seal.nbytes,
            block_rows=receipt.rows if field.per_part else seal.block_rows,
            expected=seal.checksums,
            stored=None if seal.stored is None else np.array(seal.stored, np.int64).reshape(-1, 2),
        )

    def opened(self) -> AbstractContextManager[File]:
        """Open the file; Damage if it is missing or has another length than when it was written."""
        return opened(self.part, self.place, self.file, self.file_bytes)

    def whole(self, *, check: bool = True) -> bytes:
        """All bytes of a field that a part has only once: one block, never compressed."""
        with self.opened() as file:
            content = file.read(self.offset, self.nbytes)
        if check:
            self.check(0, content)
        return content

    def check(self, number: int, content: Buffer) -> None:
        """Damage, naming part, field and rows, if these are not the bytes of block `number`."""
        if xxhash.xxh3_64_intdigest(content) != self.expected[number]:
            raise self._wrong(number)

    def inflate(self, tool: Compressor, number: int, stored: Buffer, block: memoryview) -> None:
        """Decompress the checked block `number`; Damage, naming part, field and rows, if it has another length."""
        try:
            tool.decode(stored, block)
        except NotThatBlock as error:
            raise self._wrong(number, str(error)) from error

    def _wrong(self, number: int, *why: str) -> Damage:
        first = self.first_row + number * self.block_rows
        last = min(first + self.block_rows, self.first_row + self.rows) - 1
        return wrong_bytes(self.part, self.field, first, last, *why)
