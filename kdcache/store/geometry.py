"""Is this receipt one that the plan could have? Asked of every receipt before anything of its part is opened.

Input: the plan and a receipt. Output: nothing, or Damage naming the part, the field and both values. Everything but checksums,
reasons and facts follows from the plan, and where a field lies must be inside its file; that the file is as long as it says is
seen when it is opened. So whoever maps a part relies on numbers that were made here, not there.
"""

import re
from collections.abc import Iterator

import numpy as np

from kdcache.codecs.codec import Field
from kdcache.errors import Damage
from kdcache.store.backend import Backend
from kdcache.store.blocks import block_rows, field_compressor, part_shape
from kdcache.store.plan import FORMAT, Layout, PartId, Plan
from kdcache.store.receipt import MEND, FieldSeal, Receipt

_HASHES = re.compile(r"(?:[0-9a-f]{16})*")
_LONGEST = 1 << 62
_SHOWN = 80


def hold_against(plan: Plan, fields: dict[str, Field], backend: Backend, part: PartId, receipt: Receipt) -> None:
    """Damage, unless the receipt of a part says what the plan makes of it."""
    for fault in _faults(plan, fields, backend, part, receipt):
        raise Damage(f"the receipt of part {part} does not fit the plan: {fault}", hint=MEND, part=str(part))


def _faults(plan: Plan, fields: dict[str, Field], backend: Backend, part: PartId, receipt: Receipt) -> Iterator[str]:
    rows = plan.rows_of(part)
    homes = {name: backend.path(part, field) for name, field in fields.items()}
    yield from _differ("format", receipt.format, FORMAT)
    yield from _differ("rows", (receipt.first_row, receipt.rows), (rows.start, len(rows)))
    yield from _differ("compression", receipt.compression, plan.layout.compression)
    yield from _differ("names of fields", sorted(receipt.fields), sorted(fields))
    yield from _differ("files", [file.path for file in receipt.files], list(dict.fromkeys(homes.values())))
    yield from (f"file {f.path} of {_short(f.nbytes)} bytes" for f in receipt.files if not 0 <= f.nbytes < _LONGEST)
    yield from (f"row {_short(row)} of {rows} is bad" for row in receipt.bad if row not in rows)
    for name, field in fields.items():
        seal = receipt.fields[name]
        fixed = {
            "file": (seal.file, homes[name]),
            "dtype": (seal.dtype, field.dtype),
            "shape": (seal.shape, part_shape(field, len(rows))),
            "per_part": (seal.per_part, field.per_part),
            "nbytes": (seal.nbytes, field.row_bytes * (1 if field.per_part else len(rows))),
            "block_rows": (seal.block_rows, block_rows(plan.layout, field)),
        }
        for word, (found, expected) in fixed.items():
            yield from _differ(f"{word} of field {name!r}", found, expected)
        yield from (f"field {name!r}: {fault}" for fault in _misplaced(plan.layout, field, seal, receipt))


def _misplaced(layout: Layout, field: Field, seal: FieldSeal, receipt: Receipt) -> Iterator[str]:
    """Blocks that are too many, or that lie beyond the file."""
    blocks, nbytes = -(-seal.rows // seal.block_rows), receipt.bytes_of(seal.file)
    yield from _differ("number of checksums", len(seal.blocks), blocks)
    if not all(len(text) == 16 for text in seal.blocks) or not _HASHES.fullmatch("".join(seal.blocks)):
        yield "checksums are 16 hex digits"
    if (field_compressor(layout, field) is None) != (seal.stored is None):
        yield f"the plan says compression {layout.compression}"
    if not 0 <= seal.offset <= nbytes:
        yield f"it starts at byte {_short(seal.offset)} of {nbytes:,}"
    if seal.stored is None:
        if seal.offset + seal.nbytes > nbytes:
            yield f"it ends at byte {seal.offset + seal.nbytes:,} of {nbytes:,}"
        return
    yield from _differ("number of stored blocks", len(seal.stored), blocks)
    if not all(0 <= offset <= nbytes and 1 <= size <= nbytes for offset, size in seal.stored):
        yield f"blocks lie beyond the {nbytes:,} bytes of the file"
    spans = np.array(sorted(seal.stored), np.int64).reshape(-1, 2)
    ends = spans.sum(1)
    if ends[-1] > nbytes or (ends[:-1] > spans[1:, 0]).any():
        yield f"blocks overlap, or lie beyond the {nbytes:,} bytes of the file"


def _differ(what: str, found: object, expected: object) -> Iterator[str]:
    if found != expected:
        yield f"{what}: {_short(found)}, the plan makes {_short(expected)}"


def _short(value: object) -> str:
    if isinstance(value, int) and abs(value) >= _LONGEST:
        return "a number of many digits"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"
