"""The receipt of a part: it is written last, and its existence means that the part is complete.

It has all that a reader needs: file, offset, type and shape of every field, and a checksum for every block of rows.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue, ValidationError

from kdcache.base.limits import RECORD_BYTES
from kdcache.base.plain_json import beyond_reading
from kdcache.base.strict import Strict
from kdcache.errors import Damage, UsageError
from kdcache.store.places.place import File, Place
from kdcache.store.plan import FORMAT, PartId
from kdcache.store.self_checked import seal, unseal

MEND = "run `kd cache repair` on this cache, then build again"
FOREIGN = "if that is so of every part, plan.json is the foreign one: copy it from another copy of this cache"


@contextmanager
def opened(part: str, cache: Place, name: str, written: int) -> Iterator[File]:
    """Open a file of a part; Damage if it is missing, not a plain file, or has another length than `written`."""
    path = cache.at(name)
    with ExitStack() as stack:
        try:
            file = stack.enter_context(cache.opened(name))
        except FileNotFoundError:
            raise Damage(f"part {part}: {path} is missing", hint=MEND, part=part, path=path) from None
        except Damage as error:
            raise Damage(f"part {part}: {error.message}", hint=error.hint, part=part, path=path) from error
        if file.nbytes != written:
            message = f"part {part}: {path} has {file.nbytes:,} bytes, but its receipt records {written:,}"
            raise Damage(message, hint=MEND, part=part, path=path)
        yield file


def wrong_bytes(part: str, field: str, first: int, last: int, why: str = "the checksum differs") -> Damage:
    """The error for a block of rows that does not match its receipt or the plan."""
    message = f"part {part}, field {field!r}, rows {first}-{last}: damaged, {why}"
    return Damage(message, hint=MEND, part=part, field=field, rows=(first, last))


class FieldSeal(Strict):
    """Location and checksums of one field."""

    file: str
    """Path of the file that contains the field, relative to the cache."""
    dtype: str
    shape: tuple[int, ...]
    """Shape of the array; the first axis is rows, unless a part has the field only once."""
    per_part: bool
    offset: int
    """Offset of the field's first byte in the file."""
    nbytes: int
    """Size of the field in bytes, uncompressed."""
    block_rows: int
    blocks: tuple[str, ...]
    """Checksum (xxh3-64) of every stored block."""
    stored: tuple[tuple[int, int], ...] | None
    """(offset in the file, bytes) of every block if the blocks are compressed, else None."""

    @property
    def rows(self) -> int:
        """Number of rows that are divided into blocks; 1 for a field that a part has only once."""
        return 1 if self.per_part else self.shape[0]

    @property
    def geometry(self) -> tuple[str, str, tuple[int, ...], bool, int, int]:
        """The values that follow from the plan."""
        return self.file, self.dtype, self.shape, self.per_part, self.nbytes, self.block_rows

    @property
    def checksums(self) -> NDArray[np.uint64]:
        """The checksums in `blocks` as numbers."""
        return np.frombuffer(bytes.fromhex("".join(self.blocks)), ">u8").astype(np.uint64)

    def span(self, block: int) -> tuple[int, int]:
        """(offset in the file, bytes) of one stored block."""
        if self.stored is not None:
            return self.stored[block]
        first, row = block * self.block_rows, self.nbytes // self.rows
        return self.offset + first * row, min(self.block_rows, self.rows - first) * row


class FileSeal(Strict):
    """Path, length and digest of one file of the part."""

    path: str
    nbytes: int
    digest: str
    """Digest (xxh3-128) of the file."""


class Receipt(Strict):
    """The receipt of one complete part."""

    format: int
    plan: str
    """Identity of the plan this part was built for."""
    view: int
    part: int
    first_row: int
    rows: int
    bad: dict[int, str]
    """Reason, by row of the dataset, why an image could not be used; the bytes of such a row are zeros."""
    compression: str | None
    fields: dict[str, FieldSeal]
    files: tuple[FileSeal, ...]
    facts: dict[str, JsonValue]
    """How the part was made: seconds, device, …"""

    @property
    def id(self) -> PartId:
        """Id of the part."""
        return PartId(self.view, self.part)

    @property
    def row_range(self) -> range:
        """Rows of the dataset that the part holds."""
        return range(self.first_row, self.first_row + self.rows)

    def bytes_of(self, path: str) -> int:
        """Length with which one of its files was written."""
        return next(file.nbytes for file in self.files if file.path == path)

    def rows_of(self, field: str, first: int, last: int) -> range:
        """Rows of the dataset in the blocks first..last of a field."""
        seal = self.fields[field]
        return (
            self.row_range if seal.per_part else self.row_range[first * seal.block_rows : (last + 1) * seal.block_rows]
        )

    def sealed(self) -> bytes:
        """The bytes of the receipt's file; UsageError if they could not be read back."""
        plain = self.plain()
        raw = seal(plain)
        too_much = beyond_reading(plain, raw)
        if len(raw) > RECORD_BYTES:
            too_much = f"{len(raw):,} bytes, at most {RECORD_BYTES:,} are read back"
        if too_much is not None:
            message = f"the receipt of part {self.id} would have {too_much}"
            raise UsageError(message, hint="plan smaller parts with --part-rows")
        return raw

    @classmethod
    def load(cls, part: PartId, path: str, raw: bytes) -> Self:
        """Read the receipt of a part from its file's bytes; Damage if they are not as they were written."""
        try:
            record = unseal(raw, path, hint=MEND)
        except Damage as error:
            raise Damage(f"part {part}: {error.message}", hint=MEND, part=str(part), path=path) from error
        try:
            return cls.from_plain(record)
        except ValidationError as error:
            what = "of another format" if record.get("format") != FORMAT else "not a receipt"
            raise Damage(f"part {part}: {path} is {what}", hint=MEND, part=str(part), path=path) from error

    @property
    def bytes(self) -> int:
        """Total bytes of the part's files."""
        return sum(file.nbytes for file in self.files)
