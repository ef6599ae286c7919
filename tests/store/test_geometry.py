"""Any number of rows, any batch, any block: what goes in comes out, through our reader and through the library's own."""

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kdcache.signals.signal import Signal
from kdcache.store import Store
from kdcache.store.plan import PartId
from tests.store.making import fill, make_listing, make_plan, payload_of

numbers = itertools.count()


@st.composite
def geometries(draw):
    batch = draw(st.integers(1, 12))
    per_part = batch * 2 ** draw(st.integers(0, 3))
    divisors = [n for n in range(1, per_part + 1) if per_part % n == 0]
    rows = draw(st.integers(1, 3 * per_part + 1))
    return rows, batch, per_part, [draw(st.sampled_from(divisors)) for _ in range(4)]


def library_view(store: Store, name: str) -> list[np.ndarray]:
    """A field of view 0 as h5py or zarr read it: one array a part, or one for all."""
    if store.plan.layout.backend == "zarr":
        import zarr

        return [zarr.open_array(store.path / "views" / "v000.zarr" / name, mode="r")[...]]
    import h5py

    found = []
    for number in range(store.plan.parts_per_view):
        with h5py.File(store.path / "parts" / "v000" / f"{number:06d}.h5") as file:
            found.append(file[name][...])
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(geometry=geometries())
def test_every_geometry_comes_back(tmp_path, backend, compression, geometry):
    rows, batch, per_part, blocks = geometry
    signals = ((Signal(name="embedding", shape=(3,)), "float16"), (Signal(name="features", shape=(2, 2)), "int8"))
    plan = make_plan(backend=backend, compression=compression, rows=rows, batch=batch, views=1, signals=signals)
    names = ("embedding", "features", "view_digest", "valid")
    layout = {"rows_per_part": per_part, "block_rows": dict(zip(names, blocks, strict=True))}
    plan = plan.model_copy(update={"layout": plan.layout.model_copy(update=layout)})
    store = Store.create(tmp_path / str(next(numbers)), plan, make_listing(rows))
    payloads = fill(store, {})
    again = Store.open(store.path)
    for part, payload in payloads.items():
        assert again.verify_part(part) == []
        for name, values in payload.items():
            assert again.map_part(part)[name].whole().tobytes() == values.tobytes()
    if backend == "hdf5" and compression:
        pytest.importorskip("hdf5plugin")
    for name, field in store.fields.items():
        parts = [payload[name] for payload in payloads.values()]
        expected = np.stack(parts) if field.per_part and backend == "zarr" else np.concatenate(parts)
        assert np.concatenate(library_view(again, name)).tobytes() == expected.tobytes()


@pytest.mark.slow
def test_thousands_of_blocks_in_a_part(tmp_path, backend, compression):
    """More chunks than HDF5 keeps in one page of its index."""
    plan = make_plan(
        backend=backend,
        compression=compression,
        rows=4096,
        views=1,
        signals=((Signal(name="embedding", shape=(3,)), "float16"),),
    )
    layout = {"rows_per_part": 4096, "block_rows": {"embedding": 1, "view_digest": 2, "valid": 1}}
    plan = plan.model_copy(update={"layout": plan.layout.model_copy(update=layout)})
    store = Store.create(tmp_path / "many", plan, make_listing(4096))
    part = PartId(0, 0)
    payload = payload_of(plan, part)
    first = store.write_part(part, payload, {})
    assert len(first.fields["embedding"].blocks) == 4096
    assert store.write_part(part, payload, {}).files == first.files
    assert (store.map_part(part)["embedding"].whole() == payload["embedding"]).all()
    if backend == "hdf5" and compression:
        pytest.importorskip("hdf5plugin")
    assert (library_view(store, "embedding")[0] == payload["embedding"]).all()
