"""A sealed part as arrays: files mapped read-only, every block checked on first touch.

Uncompressed fields are views of the file itself. Compressed ones are checked as stored, then decompressed, so damage never
reaches a decompressor; and one made to be right and to inflate without end is stopped at the size of a block.
"""

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from kdcache.base.atomic import storage_errors
from kdcache.base.lazy import lazy
from kdcache.codecs.codec import Field
from kdcache.errors import Damage
from kdcache.store.blocks import field_compressor
from kdcache.store.compression import NotThatBlock
from kdcache.store.parts.receipt import FieldSeal, Receipt, opened, wrong_bytes
from kdcache.store.plan import Layout

Rows = NDArray[np.int64]


class Touched:
    """What every map of a field shares: the checksums of its blocks, and which were found right so far."""

    def __init__(self, seal: FieldSeal) -> None:
        self.expected = seal.checksums
        self.right = np.zeros(len(seal.blocks), np.bool_)


class MappedField:
    """One field of one part. Rows are counted from the start of the part.

    `array` may be read freely once the rows were verified; `take` does both.
    """

    def __init__(self, receipt: Receipt, layout: Layout, field: Field, touched: Touched, content: mmap.mmap) -> None:
        self.field = field
        self._receipt = receipt
        self._seal = receipt.fields[field.name]
        self._tool = field_compressor(layout, field)
        self._touched = touched
        self._file = content
        self._bytes = memoryview(content)
        self.shape = self._seal.shape
        self.block_rows = self._seal.block_rows
        self.rows = self._seal.rows

    @lazy
    def array(self) -> NDArray[Any]:
        """Every row, read-only. A map of the file, or, when compressed, the whole field checked and decompressed."""
        seal = self._seal
        if self._tool is None:
            raw = self._bytes[seal.offset : seal.offset + seal.nbytes]
            return np.frombuffer(raw, seal.dtype).reshape(seal.shape)
        self.verify_blocks(range(len(seal.blocks)))
        whole = np.frombuffer(b"".join(map(self._block, range(len(seal.blocks)))), seal.dtype)
        return whole[: np.prod(seal.shape, dtype=np.int64)].reshape(seal.shape)

    def verify_rows(self, rows: Rows) -> None:
        """Check the blocks these rows lie in, unless they were checked before; Damage names part, field and rows."""
        right = self._touched.right
        blocks = rows // self.block_rows
        unseen = blocks[~right[blocks]]
        if len(unseen):
            self.verify_blocks(np.unique(unseen).tolist())

    def check(self, first: int, last: int) -> None:
        """Check the rows first..last-1 on first touch."""
        self.verify_blocks(range(first // self.block_rows, -(-last // self.block_rows)))

    def verify_blocks(self, blocks: "range | list[int]") -> None:
        """Check these blocks on first touch."""
        touched = self._touched
        for number in blocks:
            if not touched.right[number]:
                if xxhash.xxh3_64_intdigest(self._stored(number)) != touched.expected[number]:
                    raise self._damage(number)
                touched.right[number] = True

    def take(self, rows: Rows, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Gather rows, checked on first touch, into `out` when given. Compressed fields decompress only the blocks needed."""
        if len(rows) and not 0 <= rows.min() <= rows.max() < self.rows:
            raise IndexError(f"rows {rows.min()}..{rows.max()} of a part with {self.rows}")
        self.verify_rows(rows)
        if self._tool is None or "array" in self.__dict__:
            return np.take(self.array, rows, axis=0, out=out, mode="clip")
        if out is None:
            out = np.empty((len(rows), *self.shape[1:]), self._seal.dtype)
        blocks = rows // self.block_rows
        for number in np.unique(blocks).tolist():
            here = np.flatnonzero(blocks == number)
            block = np.frombuffer(self._block(number), self._seal.dtype).reshape(self.block_rows, *self.shape[1:])
            out[here] = block[rows[here] - number * self.block_rows]
        return out

    def whole(self) -> NDArray[Any]:
        """Every row, read-only and checked."""
        self.verify_blocks(range(len(self._seal.blocks)))
        return self.array

    def inflate_all(self) -> None:
        """Check every block, and decompress those that are compressed; nothing is kept."""
        for number in range(len(self._seal.blocks)):
            self.verify_blocks([number])
            if self._tool is not None:
                self._block(number)

    def announce(self, first: int, last: int) -> None:
        """Tell the kernel that the rows first..last-1 will be wanted soon."""
        start, _ = self._seal.span(first // self.block_rows)
        offset, size = self._seal.span((last - 1) // self.block_rows)
        if self._tool is None:
            row = self._seal.nbytes // self.rows
            start, offset, size = self._seal.offset + first * row, self._seal.offset + (last - 1) * row, row
        page = start - start % mmap.PAGESIZE
        self._file.madvise(mmap.MADV_WILLNEED, page, offset + size - page)

    def _stored(self, number: int) -> memoryview:
        offset, size = self._seal.span(number)
        return self._bytes[offset : offset + size]

    def _block(self, number: int) -> bytearray:
        assert self._tool is not None
        try:
            return self._tool.decode(self._stored(number), self.block_rows * self.field.row_bytes)
        except NotThatBlock as error:
            raise self._damage(number, str(error)) from error

    def _damage(self, number: int, *why: str) -> Damage:
        part, name = self._receipt.id, self.field.name
        rows = self._receipt.rows_of(name, number, number)
        return wrong_bytes(str(part), name, rows[0], rows[-1], *why)


class MappedPart(Mapping[str, MappedField]):
    """The fields of one part by name, each file mapped when it is first asked for."""

    def __init__(
        self, receipt: Receipt, layout: Layout, fields: dict[str, Field], touched: dict[str, Touched], cache: Path
    ) -> None:
        self.receipt = receipt
        self.rows = receipt.row_range
        self._layout = layout
        self._fields = fields
        self._touched = touched
        self._cache = cache
        self._mapped: dict[str, MappedField] = {}
        self._files: dict[str, mmap.mmap] = {}

    def __getitem__(self, name: str) -> MappedField:
        if name not in self._mapped:
            content = self._file(self.receipt.fields[name].file)
            self._mapped[name] = MappedField(
                self.receipt, self._layout, self._fields[name], self._touched[name], content
            )
        return self._mapped[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    @lazy
    def good(self) -> NDArray[np.bool_]:
        """Which rows hold what a teacher said; the others belong to images that could not be read."""
        mask = np.ones(self.receipt.rows, np.bool_)
        mask[[row - self.receipt.first_row for row in self.receipt.bad]] = False
        return mask

    def _file(self, name: str) -> mmap.mmap:
        if name not in self._files:
            written = self.receipt.bytes_of(name)
            with (
                opened(str(self.receipt.id), self._cache, name, written) as descriptor,
                storage_errors(self._cache / name, "read"),
            ):
                self._files[name] = mmap.mmap(descriptor, written, access=mmap.ACCESS_READ)
        return self._files[name]
