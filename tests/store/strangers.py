"""Caches made by a stranger: fixtures and readers that the tests of them share."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from kdcache import Cache
from kdcache.base.progress import Silent
from kdcache.check.sampling import VerifyOptions
from kdcache.check.verify import verify
from kdcache.errors import Damage
from kdcache.reshape.convert import convert
from kdcache.reshape.merge import merge
from kdcache.store import Store
from tests.store.crafted import PART


@pytest.fixture
def cache(tmp_path: Path, finished_cache: Any, backend: str) -> Path:
    """An uncompressed cache that a test may craft."""
    shutil.copytree(finished_cache(backend, None).store.path, tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file that is nobody's business."""
    (tmp_path / "outside.bin").write_bytes(b"precious" * 4096)
    return tmp_path / "outside.bin"


def every_reader(cache: Path) -> dict[str, Any]:
    """All that opens a part: name -> a call."""
    return {
        "stream": lambda: [batch.decode() for batch in Cache.open(cache).stream(8, shuffle=False)],
        "unchecked stream": lambda: [batch.decode() for batch in Cache.open(cache).stream(8, check=False)],
        "map": lambda: [field.whole() for field in Store.open(cache).map_part(PART).values()],
        "convert": lambda: convert(cache, cache.parent / "converted", progress=Silent(), signals=["embedding"]),
        "merge": lambda: merge([cache], cache.parent / "merged", progress=Silent()),
    }


def refuses(cache: Path, match: str) -> None:
    """Every reader says Damage of that part, and so does verify."""
    refused = []
    for name, read in every_reader(cache).items():
        try:
            read()
        except Damage as error:
            refused.append((name, re.search(match, error.message) is not None))
    assert refused == [(name, True) for name in every_reader(cache)]
    findings = verify(cache, VerifyOptions(), Silent()).findings
    assert [str(finding.part) for finding in findings] == [str(PART)]
