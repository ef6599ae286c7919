"""Choose the layout on disk: rows per part, and rows per checksum."""

from collections.abc import Sequence
from typing import Literal

from kdcache.codecs.codec import Field
from kdcache.store.compression import compressor
from kdcache.store.plan import Layout

BLOCK_BYTES = 256 << 10
SMALL_PARTS = 8


def choose_layout(
    coded: Sequence[Field],
    *,
    rows: int,
    batch: int,
    backend: Literal["hdf5", "zarr"] = "hdf5",
    compression: str | None = None,
    target_bytes: int = 64 << 20,
    max_rows: int = 16384,
    self_describing: bool = True,
) -> Layout:
    """The default layout for the fields of some codecs: a part has batch x 2^n rows.

    It has as many as fit into `target_bytes` and `max_rows`, but few enough that a small dataset gets about eight parts. The
    rows of a block are the largest divisor of these that keeps a block within 256 KiB: small enough to hash when it is first
    read, large enough that receipts list few blocks. An unknown compression is refused here, before anything is written.
    """
    if compression is not None:
        compressor(compression, 1)
    layout = Layout(
        backend=backend, compression=compression, rows_per_part=batch, block_rows={}, self_describing=self_describing
    )
    fields = (*coded, *layout.added_fields())
    row_bytes = sum(field.row_bytes for field in fields if not field.per_part)
    limit = min(max_rows, target_bytes // max(row_bytes, 1), -(-rows // SMALL_PARTS))
    rows_per_part = batch
    while rows_per_part * 2 <= limit:
        rows_per_part *= 2
    block_rows = {f.name: _block_rows(f, rows_per_part) for f in fields if not f.per_part}
    return layout.model_copy(update={"rows_per_part": rows_per_part, "block_rows": block_rows})


def _block_rows(field: Field, rows_per_part: int) -> int:
    most = max(1, BLOCK_BYTES // field.row_bytes)
    return next(n for n in range(min(most, rows_per_part), 0, -1) if rows_per_part % n == 0)
