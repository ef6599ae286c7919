"""What is written opens with the usual libraries alone, and with a reader made from docs/format.md alone."""

import json
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from kdcache.store.plan import PartId, Plan
from tests.store.making import Made, make_cache, make_plan

COMPRESSIONS = [None, "zstd:3", "blosc:5"]


def whole_view(made: Made, view: int, name: str) -> np.ndarray:
    """A field of a view over all parts, as it was handed in."""
    parts = [values[name] for part, values in made.payloads.items() if part.view == view]
    return np.stack(parts) if made.store.fields[name].per_part else np.concatenate(parts)


@pytest.fixture(params=COMPRESSIONS, ids=str)
def hdf5(request, finished_cache) -> Made:
    return finished_cache("hdf5", request.param)


@pytest.fixture(params=COMPRESSIONS, ids=str)
def zarr_cache(request, finished_cache) -> Made:
    return finished_cache("zarr", request.param)


def test_h5py_reads_a_part_alone(hdf5: Made):
    import h5py

    if hdf5.store.plan.layout.compression:
        pytest.importorskip("hdf5plugin", reason="the filters of compressed HDF5 come from the extra `compress`")
    for part, payload in hdf5.payloads.items():
        with h5py.File(hdf5.store.path / "parts" / f"{part}.h5") as file:
            assert set(file) == set(payload)
            for name, values in payload.items():
                assert file[name].dtype == values.dtype
                assert (file[name][...] == values).all()
            rows = hdf5.store.plan.rows_of(part)
            assert (file.attrs["view"], file.attrs["first_row"], file.attrs["rows"]) == (
                part.view,
                rows.start,
                len(rows),
            )
            assert file.attrs["plan"] == hdf5.store.plan.identity
            assert file["logits"].attrs["codec"] == "topk:5"
            assert file["features_scale"].attrs["signal"] == "features"
            texts = [value for item in (file, *file.values()) for value in item.attrs.values()]
            assert not any(isinstance(value, bytes) for value in texts)


def test_h5py_alone_sees_which_rows_are_valid(hdf5: Made):
    import h5py

    if hdf5.store.plan.layout.compression:
        pytest.importorskip("hdf5plugin", reason="the filters of compressed HDF5 come from the extra `compress`")
    unusable = set()
    for part in (part for part in hdf5.payloads if part.view == 1):
        with h5py.File(hdf5.store.path / "parts" / f"{part}.h5") as file:
            valid = file["valid"][...]
            assert valid.dtype == np.bool_
            assert (file["embedding"][...][~valid] == 0).all()
            assert "valid" in file["embedding"].attrs["valid"]
            assert "nothing is stored" in file["valid"].attrs["meaning"]
            assert "index.arrow" in file.attrs["row"]
            unusable |= set((file.attrs["first_row"] + np.flatnonzero(~valid)).tolist())
    assert unusable == set(hdf5.bad)


def test_zarr_alone_sees_which_rows_are_valid_and_where_parts_lie(zarr_cache: Made):
    import zarr

    group = zarr.open_group(zarr_cache.store.path / "views" / "v001.zarr", mode="r")
    valid = group["valid"][...]
    assert valid.dtype == np.bool_
    assert set(np.flatnonzero(~valid).tolist()) == set(zarr_cache.bad)
    assert "valid" in group["logits"].attrs["valid"]
    plan, about = zarr_cache.store.plan, dict(group.attrs)
    assert (about["rows"], about["rows_per_part"], about["parts"]) == (
        90,
        plan.layout.rows_per_part,
        len(plan.parts()) // 2,
    )
    assert "index.arrow" in about["row"]
    for part in plan.parts()[: about["parts"]]:
        assert plan.rows_of(part).start == part.number * about["rows_per_part"]


def test_a_part_that_is_not_there_is_not_valid_for_zarr_alone(tmp_path):
    import zarr

    made = make_cache(tmp_path / "cache", make_plan(backend="zarr", rows=64, views=1))
    lost = made.store.plan.parts()[1]
    made.store.drop_part(lost)
    group = zarr.open_group(tmp_path / "cache" / "views" / "v000.zarr", mode="r")
    rows = made.store.plan.rows_of(lost)
    assert (group["embedding"][rows.start : rows.stop] == 0).all()
    assert not group["valid"][rows.start : rows.stop].any()
    assert group["valid"][: rows.start].sum() == rows.start - 1


@pytest.mark.parametrize("backend", ["hdf5", "zarr"])
def test_a_cache_planned_before_keeps_its_fields_and_its_texts(tmp_path, backend):
    """Its identity, its arrays and its attributes are what they were; new parts of it are like its old ones."""
    import h5py
    import zarr

    old = make_cache(tmp_path / "old", make_plan(backend=backend, self_describing=False))
    stored = json.loads((tmp_path / "old" / "plan.json").read_bytes())
    del stored["layout"]["self_describing"], stored["digest"], stored["identity"]
    assert Plan.from_plain(stored).identity == old.store.identity
    assert old.store.identity != make_plan(backend=backend).identity
    assert "valid" not in old.store.fields
    if backend == "zarr":
        group = zarr.open_group(tmp_path / "old" / "views" / "v000.zarr", mode="r")
        assert set(group.attrs) == {"kd_format", "plan", "view"}
        assert "valid" not in group["logits"].attrs
        return
    with h5py.File(tmp_path / "old" / "parts" / "v000" / "000000.h5") as file:
        assert isinstance(file.attrs["plan"], bytes)
        assert set(file["logits"].attrs) == {"signal", "codec", "classes", "words", "ids", "logp", "tails"}


def test_uncompressed_hdf5_fields_start_on_a_page(tmp_path):
    import h5py

    made = make_cache(tmp_path / "cache", make_plan(backend="hdf5"))
    receipt = made.store.receipt(PartId(0, 0))
    with h5py.File(tmp_path / "cache" / "parts" / "v000" / "000000.h5") as file:
        for name, seal in receipt.fields.items():
            assert seal.offset % 4096 == 0
            assert file[name].id.get_offset() == seal.offset
            assert file[name].chunks is None


def test_hdf5_metadata_is_checksummed(tmp_path):
    """Of the bytes HDF5 itself needs, a flipped one is seen by HDF5 itself; of the texts beside them, by the receipt."""
    import h5py

    made = make_cache(tmp_path / "cache", make_plan(backend="hdf5", rows=32, views=1))
    path = tmp_path / "cache" / "parts" / "v000" / "000000.h5"
    sound = path.read_bytes()
    assert sound[8] == 3  # superblock version

    def content():
        with h5py.File(path) as file:
            attributes = {name: dict(file[name].attrs) for name in file} | {"": dict(file.attrs)}
            return {name: file[name][...].tobytes() for name in file}, repr(attributes)

    right = content()
    spans = [(s.offset, s.offset + s.nbytes) for s in made.store.receipt(PartId(0, 0)).fields.values()]
    heap = sound.index(b"GCOL")
    texts = range(heap, heap + int.from_bytes(sound[heap + 8 : heap + 16], "little"))
    places = [i for i, byte in enumerate(sound) if byte and i not in texts and not any(a <= i < b for a, b in spans)]
    seen = 0
    for place in np.random.default_rng(0).choice(places, 100, replace=False).tolist():
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 4]) + sound[place + 1 :])
        try:
            assert content() == right
        except (OSError, KeyError, RuntimeError, ValueError):
            seen += 1
    assert seen > 95
    for place in [i for i in texts if sound[i]][::50]:
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 4]) + sound[place + 1 :])
        assert made.store.verify_part(PartId(0, 0))


def test_zarr_reads_a_view_alone(zarr_cache: Made):
    import zarr

    for view in range(2):
        group = zarr.open_group(zarr_cache.store.path / "views" / f"v{view:03d}.zarr", mode="r")
        assert group.attrs["plan"] == zarr_cache.store.plan.identity
        assert set(group.array_keys()) == set(zarr_cache.store.fields)
        for name in zarr_cache.store.fields:
            expected = whole_view(zarr_cache, view, name)
            assert group[name].dtype == expected.dtype
            assert (group[name][...] == expected).all()
        assert group["logits"].attrs["codec"] == "topk:5"


def test_tensorstore_reads_a_view_alone(zarr_cache: Made):
    tensorstore = pytest.importorskip("tensorstore")
    for name in zarr_cache.store.fields:
        path = str(zarr_cache.store.path / "views" / "v001.zarr" / name)
        array = tensorstore.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": path}}, read=True).result()
        assert (array.read().result() == whole_view(zarr_cache, 1, name)).all()


def test_every_dimension_of_a_zarr_array_has_a_name(zarr_cache: Made):
    import zarr

    group = zarr.open_group(zarr_cache.store.path / "views" / "v000.zarr", mode="r")
    sizes: dict[str, int] = {}
    for name in zarr_cache.store.fields:
        array = group[name]
        for dimension, size in zip(array.metadata.dimension_names, array.shape, strict=True):
            assert sizes.setdefault(dimension, size) == size
    assert sizes["row"] == 90


def test_zarr_writes_the_same_shards(tmp_path):
    """Our shard and the one Zarr writes hold the same chunks, index and checksum."""
    import zarr

    made = make_cache(tmp_path / "cache", make_plan(backend="zarr", rows=64, views=1))
    ours = tmp_path / "cache" / "views" / "v000.zarr"
    shutil.copytree(ours, tmp_path / "theirs")
    for shard in (tmp_path / "theirs").rglob("c.*"):
        shard.unlink()
    group = zarr.open_group(tmp_path / "theirs", mode="r+")
    for name in made.store.fields:
        values = whole_view(made, 0, name)
        group[name][...] = values
        for shard in (ours / name).glob("c.*"):
            theirs = (tmp_path / "theirs" / name / shard.name).read_bytes()
            assert len(theirs) == shard.stat().st_size
            assert (zarr.open_array(ours / name, mode="r")[...] == values).all()


@pytest.mark.parametrize("compression", COMPRESSIONS, ids=str)
@pytest.mark.parametrize("backend", ["hdf5", "zarr"])
def test_reading_needs_neither_torch_nor_h5py_nor_zarr(finished_cache, backend, compression):
    path = finished_cache(backend, compression).store.path
    script = f"""
        import sys
        from pathlib import Path
        from kdcache.store import Store
        store = Store.open(Path({str(path)!r}))
        for part in store.plan.parts():
            assert not store.verify_part(part)
            for field in store.map_part(part).values():
                field.whole()
        assert store.index.row_of(store.index.ids[7]) == 7
        bad = {{"torch", "h5py", "zarr", "kdcache.teachers"}} & set(sys.modules)
        assert not bad, bad
    """
    subprocess.run([sys.executable, "-W", "error", "-c", textwrap.dedent(script)], check=True, cwd=".")
