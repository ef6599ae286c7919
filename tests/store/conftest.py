import pytest

from tests.store.making import Made, make_cache, make_plan

BACKENDS = ["hdf5", "zarr"]
COMPRESSIONS = [None, "zstd:3", "blosc:5"]


@pytest.fixture(params=BACKENDS)
def backend(request) -> str:
    return request.param


@pytest.fixture(params=COMPRESSIONS, ids=str)
def compression(request) -> str | None:
    return request.param


@pytest.fixture
def made(tmp_path, backend, compression) -> Made:
    """A small finished cache for each backend and compression."""
    return make_cache(tmp_path / "cache", make_plan(backend=backend, compression=compression))
