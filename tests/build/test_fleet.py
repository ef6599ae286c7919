"""Several devices share the parts of a build, and what they make is what one would have made."""

from pathlib import Path

import pytest

from kdcache.build import build
from kdcache.errors import KDError
from kdcache.options import BuildOptions
from kdcache.prepare import prepare
from kdcache.progress import Silent
from kdcache.store import Store
from tests.faults.killed_build import content


def built(out: Path, *devices: str) -> Path:
    options = BuildOptions(
        teacher="timm:test_vit",
        weights="random",
        data="shapes:count=64,size=32",
        signals=("embedding",),
        batch=8,
        part_rows=8,
        devices=devices,
        workers=0,
    )
    build(prepare(options, out), progress=Silent())
    return out


def test_two_devices_make_the_same_bytes_as_one(tmp_path: Path) -> None:
    one, two = built(tmp_path / "one", "cpu"), built(tmp_path / "two", "cpu", "cpu")
    assert content(one) == content(two)
    assert Store.open(two).missing() == []


def test_what_stops_one_device_is_told(tmp_path: Path) -> None:
    with pytest.raises(KDError, match="nonsense"):
        built(tmp_path / "c", "cpu", "nonsense")
