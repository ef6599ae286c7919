"""Cut a payload into blocks of rows: the unit of checksums and of compression."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcache.base.digest import block_hash
from kdcache.codecs.codec import Field, Fields
from kdcache.store.compression import Compressor, compressor
from kdcache.store.plan import VALID, Layout, Plan


@dataclass(frozen=True)
class Cut:
    """One field of one part, cut into blocks, with their checksums."""

    field: Field
    shape: tuple[int, ...]
    block_rows: int
    raw: memoryview
    """Bytes of the field as the codec encoded them."""
    compressor: Compressor | None
    chunks: tuple[bytes, ...]
    """Compressed blocks, each padded with zero rows to `block_rows`; empty when the field is not compressed."""
    hashes: tuple[str, ...]

    @property
    def block_bytes(self) -> int:
        """Bytes of a full block, uncompressed."""
        return self.block_rows * self.field.row_bytes


def block_rows(layout: Layout, field: Field) -> int:
    """Rows per block (per checksum); a field that a part has only once is one block."""
    return 1 if field.per_part else layout.block_rows[field.name]


def part_shape(field: Field, rows: int) -> tuple[int, ...]:
    """Shape of a field in a part with `rows` rows."""
    return field.shape if field.per_part else (rows, *field.shape)


def field_compressor(layout: Layout, field: Field) -> Compressor | None:
    """The compressor of a field; None for fields that a part has only once, which are too small to be worth it."""
    if layout.compression is None or field.per_part:
        return None
    return compressor(layout.compression, np.dtype(field.dtype).itemsize)


def cut_payload(plan: Plan, fields: tuple[Field, ...], rows: range, payload: Fields, bad: dict[int, str]) -> list[Cut]:
    """Check a payload against the plan, set its bad rows to zero, and cut every field into blocks. If the plan has the
    field `valid`, it is filled in here from the bad rows."""
    if VALID in fields:
        payload = payload | {VALID.name: np.ones(len(rows), VALID.dtype)}
    assert set(payload) == {f.name for f in fields}, (
        f"payload has {sorted(payload)}, the plan {[f.name for f in fields]}"
    )
    assert all(row in rows for row in bad), f"bad rows {sorted(bad)} outside {rows}"
    places = [row - rows.start for row in bad]
    return [_cut(plan.layout, field, len(rows), payload[field.name], places) for field in fields]


def _cut(layout: Layout, field: Field, rows: int, array: NDArray[Any], bad: list[int]) -> Cut:
    shape = part_shape(field, rows)
    assert array.shape == shape, f"{field.name} has shape {array.shape}, expected {shape}"
    assert array.dtype == np.dtype(field.dtype), f"{field.name} has type {array.dtype}, expected {field.dtype}"
    array = np.ascontiguousarray(array)
    if bad and not field.per_part and array[bad].any():
        array = array.copy()
        array[bad] = 0
    raw = memoryview(array.reshape(-1).view(np.uint8).data)
    step, tool = block_rows(layout, field), field_compressor(layout, field)
    size = step * field.row_bytes
    pieces = list(_blocks(raw, size))
    chunks = tuple(tool.encode(_filled(piece, size)) for piece in pieces) if tool else ()
    hashes = tuple(block_hash(piece) for piece in chunks or pieces)
    return Cut(field, shape, step, raw, tool, chunks, hashes)


def _blocks(raw: memoryview, size: int) -> Iterator[memoryview]:
    for start in range(0, len(raw), size):
        yield raw[start : start + size]


def _filled(block: memoryview, size: int) -> memoryview:
    """Pad the last block of a short part with zeros, because a compressed chunk always has the full size."""
    return block if len(block) == size else memoryview(bytes(block) + bytes(size - len(block)))
