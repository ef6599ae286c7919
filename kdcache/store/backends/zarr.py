"""Zarr backend: one Zarr v3 group per view, array per field, shard per part; readable with zarr, tensorstore or xarray alone.

A shard contains its inner chunks in row order and then the shard index, so an uncompressed field starts at byte 0 of its shard
and can be mapped. We write shards ourselves, because the Zarr library would choose another order and would not flush to disk.
"""

import json
from typing import Any

import numpy as np

from kdcache.base.atomic import Buffer
from kdcache.codecs.codec import Field
from kdcache.store.backends.attributes import describe
from kdcache.store.backends.backend import FieldExtent, FileImage
from kdcache.store.blocks import Cut, block_rows, field_compressor
from kdcache.store.plan import PartId, Plan

_NONE = 0xFFFFFFFFFFFFFFFF
LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}


class Zarr:
    """The Zarr backend."""

    def path(self, part: PartId, field: Field) -> str:
        """The shard of a part. Chunk keys are flat (`c.PART.0.0`), so that parts do not need a folder each."""
        key = ".".join(["c", str(part.number), *("0" for _ in field.shape)])
        return f"{group(part.view)}/{field.name}/{key}"

    def images(self, plan: Plan, part: PartId, cuts: list[Cut]) -> list[FileImage]:
        """The files of a part: one shard per field."""
        return [_shard(plan, self.path(part, cut.field), cut) for cut in cuts]

    def frame(self, plan: Plan, view: int) -> dict[str, bytes]:
        """The zarr.json of the group and of each array."""
        about: dict[str, Any] = {"kd_format": plan.format, "plan": plan.identity, "view": view}
        if plan.layout.self_describing:
            about |= _rows(plan)
        files = {f"{group(view)}/zarr.json": {"zarr_format": 3, "node_type": "group", "attributes": about}}
        texts = describe(plan)
        for field in plan.fields():
            files[f"{group(view)}/{field.name}/zarr.json"] = _array(plan, field, texts[field.name])
        return {name: (json.dumps(record, indent=2) + "\n").encode() for name, record in files.items()}


def group(view: int) -> str:
    """The folder of a view."""
    return f"views/v{view:03d}.zarr"


def _rows(plan: Plan) -> dict[str, Any]:
    """Attributes that explain what a row is and which part holds it."""
    return {
        "rows": plan.dataset.rows,
        "rows_per_part": plan.layout.rows_per_part,
        "parts": plan.parts_per_view,
        "row": "row r is the image in row r of index.arrow, in every array with the dimension `row`",
        "part": "part p holds the rows from p * rows_per_part up to the next part or the end; it is shard p of every array",
        "unbuilt": "the rows of a part that is not there read as zeros, and their `valid` as false",
    }


def _array(plan: Plan, field: Field, texts: dict[str, str]) -> dict[str, Any]:
    """The zarr.json of one array."""
    rows, count = (1, plan.parts_per_view) if field.per_part else (plan.layout.rows_per_part, plan.dataset.rows)
    dtype = np.dtype(field.dtype)
    tool = field_compressor(plan.layout, field)
    inner = {
        "chunk_shape": [block_rows(plan.layout, field), *field.shape],
        "codecs": [LITTLE, *([tool.zarr_codec()] if tool else [])],
        "index_codecs": [LITTLE, {"name": "crc32c"}],
        "index_location": "end",
    }
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [count, *field.shape],
        "data_type": dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [rows, *field.shape]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": np.zeros((), dtype).item(),
        "codecs": [{"name": "sharding_indexed", "configuration": inner}],
        "attributes": texts,
        "dimension_names": [
            "part" if field.per_part else "row",
            *(f"{field.name}_{i}" for i in range(len(field.shape))),
        ],
    }


def _shard(plan: Plan, path: str, cut: Cut) -> FileImage:
    """A shard: inner chunks in row order, then the index. Chunks beyond the last row of the dataset are absent."""
    slots = 1 if cut.field.per_part else plan.layout.rows_per_part // cut.block_rows
    pieces: list[Buffer] = list(cut.chunks)
    if cut.compressor is None:
        pieces = [cut.raw, bytes(-len(cut.raw) % cut.block_bytes)]
        sizes = [cut.block_bytes] * len(cut.hashes)
    else:
        sizes = [len(chunk) for chunk in cut.chunks]
    spans = list(zip(np.cumsum([0, *sizes[:-1]]).tolist(), sizes, strict=True))
    stored = tuple(spans) if cut.compressor else None
    return FileImage(path, [*pieces, _index(spans, slots)], {cut.field.name: FieldExtent(0, stored)})


def _index(spans: list[tuple[int, int]], slots: int) -> bytes:
    """The shard index: offset and size of every inner chunk, and a crc32c of the index."""
    import google_crc32c

    table = np.full((slots, 2), _NONE, "<u8")
    table[: len(spans)] = spans
    raw = table.tobytes()
    return raw + int(google_crc32c.value(raw)).to_bytes(4, "little")
