"""Check that a receipt is possible under the plan, before any file of its part is opened.

Input: the plan and a receipt. Output: nothing, or Damage that names the part, the field and both values. Everything in a receipt
except checksums, reasons and facts follows from the plan, and a field must lie inside its file; the length of the file is checked
when it is opened. So code that maps a part relies on numbers computed from the plan, not on those of a stranger.
"""

import re
from collections.abc import Iterator, Sequence

from kdcache.codecs.codec import Field
from kdcache.errors import Damage
from kdcache.store.backends.backend import Backend
from kdcache.store.blocks import block_rows, field_compressor, part_shape
from kdcache.store.parts.receipt import MEND, FieldSeal, Receipt
from kdcache.store.plan import FORMAT, PartId, Plan

_HASHES = re.compile(r"(?:[0-9a-f]{16})*")
_SHOWN = 120


class Geometry:
    """What the receipts of a plan must contain, computed once for all of them."""

    def __init__(self, plan: Plan, fields: dict[str, Field], backend: Backend) -> None:
        self._plan, self._fields, self._backend = plan, fields, backend
        self._names = sorted(fields)
        self._row_bytes = {name: field.row_bytes for name, field in fields.items()}
        self._block_rows = {name: block_rows(plan.layout, field) for name, field in fields.items()}
        self._compressed = {name: field_compressor(plan.layout, field) is not None for name, field in fields.items()}

    def hold(self, part: PartId, receipt: Receipt) -> None:
        """Damage if the receipt of a part contradicts the plan."""
        for fault in self._faults(part, receipt):
            raise Damage(f"the receipt of part {part} does not fit the plan: {fault}", hint=MEND, part=str(part))

    def _faults(self, part: PartId, receipt: Receipt) -> Iterator[str]:
        """Yield everything that is wrong. Later checks may rely on earlier ones."""
        rows = self._plan.rows_of(part)
        homes = {name: self._backend.path(part, field) for name, field in self._fields.items()}
        yield from _differ("format", receipt.format, FORMAT)
        yield from _differ("rows", (receipt.first_row, receipt.rows), (rows.start, len(rows)))
        yield from _differ("compression", receipt.compression, self._plan.layout.compression)
        yield from _differ("names of fields", sorted(receipt.fields), self._names)
        yield from _differ("files", [file.path for file in receipt.files], list(dict.fromkeys(homes.values())))
        nbytes = {file.path: file.nbytes for file in receipt.files}
        yield from (f"row {_short(row)} of {rows} is bad" for row in receipt.bad if row not in rows)
        for name, field in self._fields.items():
            seal, found = receipt.fields[name], receipt.fields[name].geometry
            size = self._row_bytes[name] * (1 if field.per_part else len(rows))
            shape = part_shape(field, len(rows))
            expected = (homes[name], field.dtype, shape, field.per_part, size, self._block_rows[name])
            yield from _differ(f"field {name!r}", found, expected)
            faults = _misplaced(seal, nbytes[seal.file], compressed=self._compressed[name])
            yield from (f"field {name!r}: {fault}" for fault in faults)


def _misplaced(seal: FieldSeal, nbytes: int, *, compressed: bool) -> Iterator[str]:
    """Yield faults of a field's location: too many blocks, or blocks beyond the end of the file (`nbytes`)."""
    blocks = -(-seal.rows // seal.block_rows)
    yield from _differ("number of checksums", len(seal.blocks), blocks)
    if not all(len(text) == 16 for text in seal.blocks) or not _HASHES.fullmatch("".join(seal.blocks)):
        yield "checksums are 16 hex digits"
    if not 0 <= seal.offset <= nbytes:
        yield f"it starts at byte {_short(seal.offset)} of {nbytes:,}"
    if (seal.stored is not None) != compressed:
        yield "it is compressed although the plan has no compression, or the other way round"
    elif seal.stored is None:
        if seal.offset + seal.nbytes > nbytes:
            yield f"it ends at byte {seal.offset + seal.nbytes:,} of {nbytes:,}"
    else:
        yield from _differ("number of stored blocks", len(seal.stored), blocks)
        yield from _scattered(seal.stored, nbytes)


def _scattered(stored: Sequence[tuple[int, int]], nbytes: int) -> Iterator[str]:
    """Yield compressed blocks that overlap, are out of order, or lie beyond the end of the file."""
    end = 0
    for offset, size in sorted(stored):
        if not end <= offset <= nbytes or not 1 <= size <= nbytes - offset:
            yield f"block {_short((offset, size))} overlaps another, or lies beyond the {nbytes:,} bytes of the file"
        end = offset + size


def _differ(what: str, found: object, expected: object) -> Iterator[str]:
    if found != expected:
        yield f"{what}: {_short(found)}, expected from the plan: {_short(expected)}"


def _short(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # a number with more digits than Python converts to text
        return "a number of many digits"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"
