"""Check that files on disk are as they were written. Findings name the part, the field and the rows; nothing is changed.

A file that cannot be read raises StorageError instead of being a finding: it may be intact, and must not be dropped.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import xxhash

from kdcache.errors import Damage, KDError, Mismatch
from kdcache.store.parts.receipt import FieldSeal, FileSeal, Receipt
from kdcache.store.places.place import File, Place, file_digest
from kdcache.store.plan import PartId


@dataclass(frozen=True)
class Finding:
    """One problem that a check found."""

    part: PartId | None
    field: str | None
    rows: range | None
    """Rows of the dataset that are damaged."""
    what: str
    path: str | None = None
    kind: Literal["damage", "foreign", "stray", "drift"] = "damage"
    """`foreign`: intact, but of another plan; `stray`: a name that does not belong to the cache; `drift`: intact, but images,
    libraries or the teacher give other results today. `repair` drops none of these."""

    def __str__(self) -> str:
        names = [f"part {self.part}" if self.part else None, f"field {self.field!r}" if self.field else None]
        rows = f"rows {self.rows[0]}-{self.rows[-1]}" if self.rows else None
        where = ", ".join(n for n in (*names, rows) if n)
        return f"{where}: {self.what}" if where else self.what

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        rows = [self.rows[0], self.rows[-1]] if self.rows else None
        return {
            "part": str(self.part) if self.part else None,
            "field": self.field,
            "rows": rows,
            "what": self.what,
            "path": self.path,
            "kind": self.kind,
        }


def check_files(cache: Place, receipt: Receipt) -> list[Finding]:
    """Check every byte of a part against its receipt."""
    return [finding for seal in receipt.files for finding in _check_file(cache, receipt, seal)]


def _check_file(cache: Place, receipt: Receipt, seal: FileSeal) -> Iterator[Finding]:
    rows = receipt.row_range
    fields = {name: field for name, field in receipt.fields.items() if field.file == seal.path}
    only = next(iter(fields)) if len(fields) == 1 else None
    try:
        with cache.opened(seal.path) as file:
            if file.nbytes != seal.nbytes:
                what = f"{seal.path} has {file.nbytes:,} bytes, but its receipt records {seal.nbytes:,}"
                yield Finding(receipt.id, only, rows, what, seal.path)
                return
            if file_digest(file) == seal.digest:
                return
            found = [f for name, field in fields.items() for f in _check_blocks(file, receipt, name, field)]
    except FileNotFoundError:
        yield Finding(receipt.id, only, rows, f"{seal.path} is missing", seal.path)
        return
    except Damage as error:
        yield Finding(receipt.id, only, rows, error.message, seal.path)
        return
    what = f"{seal.path} differs from what was written, between its rows"
    yield from found or [Finding(receipt.id, None, rows, what, seal.path)]


def _check_blocks(file: File, receipt: Receipt, name: str, seal: FieldSeal) -> Iterator[Finding]:
    """Damaged blocks of one field; adjacent blocks are joined into one finding."""
    first = None
    for number, expected in enumerate((*seal.blocks, None)):
        bad = expected is not None and _hash(file, *seal.span(number)) != expected
        if bad and first is None:
            first = number
        if not bad and first is not None:
            yield Finding(receipt.id, name, receipt.rows_of(name, first, number - 1), "the checksum differs", seal.file)
            first = None


def _hash(file: File, offset: int, size: int) -> str:
    return xxhash.xxh3_64_hexdigest(file.read(offset, size))


def finding_of(error: KDError, part: PartId | None, rows: range | None) -> Finding:
    """Turn an error into a finding."""
    kind: Literal["damage", "foreign"] = "foreign" if isinstance(error, Mismatch) else "damage"
    return Finding(part, None, rows, error.message, error.details.get("path"), kind)
