"""Caches to stream from, and the slow way to read them."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdcache import Cache
from kdcache.store import Store
from tests.store.making import Made, make_cache, make_listing, make_plan
from tests.stream.joining import TOKENS, make, shuffled

KINDS = [(backend, compression) for backend in ("hdf5", "zarr") for compression in (None, "zstd:3", "blosc:5")]


@pytest.fixture(scope="session", params=KINDS, ids=lambda kind: f"{kind[0]}-{kind[1]}")
def made(request, tmp_path_factory) -> Made:
    """A small finished cache of each kind, not to be changed."""
    backend, compression = request.param
    path = tmp_path_factory.mktemp("caches") / "made"
    return make_cache(path, make_plan(backend=backend, compression=compression))


@pytest.fixture(scope="session")
def untouched(tmp_path_factory) -> Made:
    """A small finished HDF5 cache, not to be changed."""
    return make_cache(tmp_path_factory.mktemp("caches") / "plain", make_plan())


@pytest.fixture(scope="session")
def other(tmp_path_factory) -> Made:
    """Another teacher's cache of the same images: other rows, parts, backend, compression and bad images."""
    path = tmp_path_factory.mktemp("caches") / "other"
    changed: dict[str, Any] = {"backend": "zarr", "compression": "zstd:3", "target_bytes": 1500, "max_rows": 16}
    return make(path, shuffled(make_listing()), {0: "torn", 77: "gone"}, signals=TOKENS, **changed)


@pytest.fixture
def plain(untouched: Made, tmp_path: Path) -> Made:
    """A copy of it that a test may damage."""
    return copied(untouched, tmp_path / "plain")


@pytest.fixture
def cache(made: Made) -> Cache:
    return Cache.open(made.store.path)


def copied(made: Made, path: Path) -> Made:
    """The same cache elsewhere."""
    shutil.copytree(made.store.path, path)
    return replace(made, store=Store.open(path))


def stored_row(made: Made, view: int, row: int, name: str) -> np.ndarray:
    """One row of one field as it went into the cache."""
    part = next(p for p in made.payloads if p.view == view and row in made.store.plan.rows_of(p))
    return made.payloads[part][name][row - made.store.plan.rows_of(part).start]


def whole_array(made: Made, view: int, row: int, name: str) -> np.ndarray:
    """An array of the part a row is in."""
    part = next(p for p in made.payloads if p.view == view and row in made.store.plan.rows_of(p))
    return made.payloads[part][name]
