"""An index made by a stranger, its digest right: it is held against the plan before it is used."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kdcache import Cache
from kdcache.base.progress import Silent
from kdcache.check.sampling import VerifyOptions
from kdcache.check.verify import verify
from kdcache.errors import Damage
from kdcache.store import Store
from tests.store.crafted import adopt_index

pytestmark = pytest.mark.timeout(60)


def _batch(made: Store) -> dict[str, Any]:
    return {
        name: made.index.ids.batch.column(place) for place, name in enumerate(("image_id", "label", "hash", "hash_row"))
    }


def _written(columns: dict[str, Any], **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    batch = pa.record_batch(list(columns.values()), names=list(columns))
    with pa.ipc.new_file(sink, batch.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def _crooked(columns: dict[str, Any], change: Any) -> bytes:
    """The offsets of the ids changed where they lie in the file."""
    places = np.frombuffer(columns["image_id"].buffers()[1], "<i8")[: len(columns["image_id"]) + 1]
    other = places.copy()
    change(other)
    raw = _written(columns)
    assert raw.count(places.tobytes()) == 1
    return raw.replace(places.tobytes(), other.tobytes())


def _no_texts(ids: pa.Array) -> pa.Array:
    _, offsets, data = ids.buffers()
    return pa.LargeStringArray.from_buffers(len(ids), offsets, pa.py_buffer(b"\xff" * data.size))


INDEXES = {
    "offsets far behind": lambda c: _crooked(c, lambda places: places.__setitem__(slice(5, None), 1 << 40)),
    "one offset far behind": lambda c: _crooked(c, lambda places: places.__setitem__(5, 1 << 40)),
    "an offset before": lambda c: _crooked(c, lambda places: places.__setitem__(5, -(1 << 40))),
    "offsets that go back": lambda c: _crooked(c, lambda places: places.__setitem__(5, 0)),
    "no texts": lambda c: _written(c | {"image_id": _no_texts(c["image_id"])}),
    "rows that are none": lambda c: _written(
        c | {"hash_row": pa.array(np.full(len(c["label"]), 4_000_000_000, np.uint32))}
    ),
    "classes that are none": lambda c: _written(c | {"label": pa.array(np.full(len(c["label"]), 7, np.int32))}),
    "negative classes": lambda c: _written(c | {"label": pa.array(np.full(len(c["label"]), -5, np.int32))}),
    "fewer rows": lambda c: _written({name: column.slice(0, 80) for name, column in c.items()}),
    "compressed": lambda c: _written(c, compression="zstd"),
    "another column": lambda c: _written(c | {"more": c["label"]}),
    "other types": lambda c: _written(c | {"hash_row": c["hash_row"].cast(pa.int32())}),
    "wide rows": lambda c: _written(c | {"hash_row": c["hash_row"].cast(pa.uint64())}),
    "rows without id": lambda c: _written(c | {"image_id": pa.nulls(len(c["label"]), pa.large_string())}),
    "no Arrow": lambda c: b"x" * 5000,
    "nothing": lambda c: b"",
    "cut short": lambda c: _written(c)[:3000],
}


@pytest.mark.parametrize("craft", INDEXES)
def test_an_index_is_held_against_the_plan_before_it_is_used(tmp_path: Path, finished_cache: Any, craft: str) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(finished_cache("hdf5", None).store.path, cache)
    crafted = adopt_index(cache, INDEXES[craft](_batch(Store.open(cache))))
    with pytest.raises(Damage, match=r"index\.arrow"):
        _ = crafted.index
    with pytest.raises(Damage, match=r"index\.arrow"):
        Cache.open(cache).get("img/1/ü00050.jpg")
    assert "index.arrow" in str(verify(cache, VerifyOptions(), Silent()).findings[0])
