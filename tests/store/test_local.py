"""What a store promises beyond its contract where it lies in a folder of this machine."""

import gc
import os
import pickle
from pathlib import Path

import pytest

from kdcache.store import Store
from kdcache.store.plan import PartId
from tests.store.making import Made, make_cache, make_plan

GONE = PartId(0, 1)


def test_a_cache_without_write_permission_can_be_read(made: Made):
    for folder, _, files in os.walk(made.store.path):
        os.chmod(folder, 0o555)
        for name in files:
            os.chmod(os.path.join(folder, name), 0o444)
    store = Store.open(made.store.path)
    for part, payload in made.payloads.items():
        assert all((store.map_part(part)[n].whole() == v).all() for n, v in payload.items())
    assert store.index.ids[0].startswith("img/")
    for folder, _, _ in os.walk(made.store.path):
        os.chmod(folder, 0o755)


def test_a_store_that_nobody_has_any_more_leaves_nothing_mapped(made: Made):
    """At once, not when Python next looks for circles: a disk may be waiting to be taken away."""
    store = Store.open(made.store.path)
    fields = [field for part in store.plan.parts() for field in store.map_part(part).values()]
    assert all(field.whole().size for field in fields)
    assert str(store.path) in Path("/proc/self/maps").read_text() or store.plan.layout.compression is not None
    gc.disable()
    try:
        del store, fields
        assert str(made.store.path) not in Path("/proc/self/maps").read_text()
    finally:
        gc.enable()


def test_a_store_travels_to_another_process_as_its_path(made: Made):
    raw = pickle.dumps(made.store)
    assert len(raw) < 300
    again = pickle.loads(raw)
    assert (again.map_part(GONE)["logits"].whole() == made.payloads[GONE]["logits"]).all()
    assert len(pickle.dumps(made.store.index.ids)) < 300
    assert pickle.loads(pickle.dumps(made.store.index.ids))[5] == made.store.index.ids[5]


def test_a_part_of_one_row_opens_with_the_library_of_its_backend(tmp_path, compression):
    if compression is None:
        pytest.skip("chunks are of compressed arrays")
    made = make_cache(tmp_path / "tiny", make_plan(rows=1, backend="hdf5", compression=compression))
    h5py, _ = pytest.importorskip("h5py"), pytest.importorskip("hdf5plugin")
    with h5py.File(made.store.path / "parts" / "v001" / "000000.h5") as file:
        assert (file["embedding"][...] == made.payloads[PartId(1, 0)]["embedding"]).all()
