import functools
import shutil

import pytest

from kdcache.store import Store
from tests.store.making import Made, make_cache, make_plan
from tests.store.making import places as places
from tests.store.making import without_fsync as without_fsync
from tests.store.strangers import cache as cache
from tests.store.strangers import outside as outside

BACKENDS = ["hdf5", "zarr"]
COMPRESSIONS = [None, "zstd:3", "blosc:5"]


@pytest.fixture(params=BACKENDS)
def backend(request) -> str:
    return request.param


@pytest.fixture(params=COMPRESSIONS, ids=str)
def compression(request) -> str | None:
    return request.param


@pytest.fixture(scope="session")
def finished_cache(tmp_path_factory):
    """Builds each kind of cache once; making files durable is what takes the time."""

    @functools.cache
    def build(backend: str, compression: str | None) -> Made:
        return make_cache(
            tmp_path_factory.mktemp("finished") / "cache", make_plan(backend=backend, compression=compression)
        )

    return build


@pytest.fixture
def made(tmp_path, backend, compression, finished_cache) -> Made:
    """A small finished cache for each backend and compression."""
    finished = finished_cache(backend, compression)
    shutil.copytree(finished.store.path, tmp_path / "cache")
    return Made(Store.open(tmp_path / "cache"), finished.payloads, finished.bad)
