"""Indexes and compressed blocks as a stranger would make them: not by a slip of bytes, but whole and wrong."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.fuzz import right
from tests.fuzz.caches import COMPRESSED, Loose, files_of, golden_caches, put_part
from tests.fuzz.case import Case
from tests.fuzz.hostile import texts

WAYS = (
    "ids", "id-twice", "id-null", "labels-high", "labels-low", "labels-wide", "labels-text", "rows-high", "rows-equal",
    "hash-equal",
    "hash-backwards", "short", "long", "none", "two-batches", "no-batch", "no-column", "names", "string", "dictionary",
    "compressed",
    "nested", "stream", "views",
)  # fmt: skip


@st.composite
def index_cases(draw: st.DrawFn) -> Case:
    """An index that is an Arrow file and not the one of the cache."""
    return Case(
        "index", draw(golden_caches()), "index.arrow", ({"how": draw(st.sampled_from(WAYS)), "id": draw(texts)},)
    )


def change_index(case: Case, cache: Path, box: Path) -> Loose:
    import pyarrow as pa

    with pa.ipc.open_file(pa.py_buffer((cache / "index.arrow").read_bytes())) as file:
        batch = file.get_batch(0)
    batches, options, stream = _changed(batch, **case.changes[0])
    out = io.BytesIO()
    schema = batches[0].schema if batches else batch.schema
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(out, schema, options=options) as writer:
        for one in batches:
            writer.write_batch(one)
    right.put_index(cache, out.getvalue())
    return False


def _changed(batch: Any, *, how: str, id: str) -> tuple[list[Any], Any, bool]:
    import pyarrow as pa

    usual = pa.ipc.IpcWriteOptions()
    if how == "short":
        return [batch.slice(0, 3)], usual, False
    if how == "long":
        both = pa.Table.from_batches([batch, batch]).combine_chunks().to_batches()
        return both, usual, False
    if how == "two-batches":
        return [batch.slice(0, 5), batch.slice(5)], usual, False
    if how in ("no-batch", "none"):
        return ([] if how == "no-batch" else [batch.slice(0, 0)]), usual, False
    if how == "compressed":
        return [batch], pa.ipc.IpcWriteOptions(compression="zstd"), False
    if how == "stream":
        return [batch], usual, True
    return [_batch(batch, how, id)], usual, False


def _batch(batch: Any, how: str, id: str) -> Any:
    import pyarrow as pa

    count = len(batch)
    ids = batch.column(0).to_pylist()
    hashes, rows = (batch.column(n).to_numpy() for n in (2, 3))
    columns = list(batch.columns)
    if how == "ids":
        columns[0] = pa.array([ids[0], id.encode("utf-8", "replace").decode(), *ids[2:]], pa.large_string())
    elif how == "id-twice":
        columns[0] = pa.array([ids[0]] * count, pa.large_string())
    elif how == "id-null":
        columns[0] = pa.array([None, *ids[1:]], pa.large_string())
    elif how.startswith("labels"):
        wild = {"labels-high": 2**31 - 1, "labels-low": -(2**31), "labels-wide": 2**40}.get(how, 0)
        kind = {"labels-wide": pa.int64(), "labels-text": pa.string()}.get(how, pa.int32())
        columns[1] = pa.array(["x"] * count if how == "labels-text" else [wild] * count, kind)
    elif how.startswith("rows"):
        columns[3] = pa.array(np.full(count, 2**32 - 1 if how == "rows-high" else 0, np.uint32))
    elif how == "hash-equal":
        columns[2] = pa.array(np.full(count, hashes[0], np.uint64))
    elif how == "hash-backwards":
        columns[2], columns[3] = pa.array(hashes[::-1].copy()), pa.array(rows[::-1].copy())
    elif how == "string":
        columns[0] = pa.array(ids, pa.string())
    elif how == "dictionary":
        columns[0] = pa.array(ids).dictionary_encode()
    elif how == "nested":
        columns[0] = pa.array([[i] for i in ids])
    elif how == "views":
        columns[0] = pa.array(ids, pa.string_view())
    names = list(batch.schema.names)
    if how == "no-column":
        columns, names = columns[:2], names[:2]
    if how == "names":
        names = names[::-1]
    return pa.record_batch(columns, names=names)


@st.composite
def bomb_cases(draw: st.DrawFn) -> Case:
    """A compressed block that inflates to far more than its rows, or to less."""
    golden = draw(golden_caches(COMPRESSED))
    name = draw(st.sampled_from([*files_of(golden, "parts/*/*.h5"), *files_of(golden, "views/*/*/c.*")]))
    how = draw(st.sampled_from(("zstd", "zstd-sized", "zstd-short", "blosc", "blosc-short", "noise")))
    size = draw(st.sampled_from((2**20, 1900 << 20)))
    return Case("bomb", golden, name, ({"how": how, "field": draw(st.integers(0, 7)), "bytes": size},))


def change_block(case: Case, cache: Path, box: Path) -> Loose:
    """The first block of a field is replaced, at the end of the file, where there is room for a longer one."""
    from tests.fuzz.caches import receipt_for

    change, path = case.changes[0], receipt_for(cache, case.file)
    record = json.loads(path.read_bytes())
    packed = [
        name for name, seal in record["fields"].items() if seal["file"] == case.file and seal["stored"] is not None
    ]
    if not packed:
        return False
    seal = record["fields"][packed[change["field"] % len(packed)]]
    before = (cache / case.file).read_bytes()
    block = bomb(change["how"], change["bytes"])
    seal["stored"][0] = [len(before), len(block)]
    path.write_bytes(right.written(record))
    put_part(cache, case.file, before, before + block)
    return True


def bomb(how: str, size: int) -> bytes:
    """A frame of few bytes that says it holds many."""
    if how == "noise":
        return bytes(range(256)) * 4
    if how.startswith("blosc"):
        lies = (16 if how == "blosc-short" else size, 4096, 20)
        return bytes([2, 1, 0x21, 2]) + b"".join(number.to_bytes(4, "little") for number in lies) + bytes(4)
    piece, last = 128 << 10, 16 if how == "zstd-short" else 128 << 10
    count = 1 if how == "zstd-short" else size // piece
    sized = how == "zstd-sized"
    head = bytes([0xC0 if sized else 0x00, 0x70]) + ((count * piece).to_bytes(8, "little") if sized else b"")
    blocks = [(2 + (piece << 3)).to_bytes(3, "little") + b"\x01"] * (count - 1)
    blocks.append((3 + (last << 3)).to_bytes(3, "little") + b"\x01")
    return b"\x28\xb5\x2f\xfd" + head + b"".join(blocks)
