"""Repair takes away what is damaged and nothing else: not what it cannot read, not what another plan.json makes look foreign."""

import errno
import os
from pathlib import Path
from shutil import copy, copytree
from typing import Any

import pytest

from kdcache.base.progress import Silent
from kdcache.build.resume import prepare_again
from kdcache.build.run import build
from kdcache.check import repair as module
from kdcache.check.repair import repair
from kdcache.check.sampling import VerifyOptions, VerifyReport
from kdcache.check.verify import verify
from kdcache.errors import Locked, Mismatch, StorageError
from kdcache.store import Store
from kdcache.store.locks import build_lock
from kdcache.store.places.place import Place
from kdcache.store.plan import PartId
from tests.build.conftest import options, prepared

pytestmark = pytest.mark.usefixtures("listener")


@pytest.fixture(params=["hdf5", "zarr"])
def cache(images: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    build(prepared(images, tmp_path / "c", backend=request.param), progress=Silent())
    return tmp_path / "c"


def files(cache: Path) -> dict[str, bytes]:
    found = [p for top in ("parts", "views") for p in sorted((cache / top).rglob("*")) if p.is_file()]
    return {str(p.relative_to(cache)): p.read_bytes() for p in found}


def flip(path: Path, place: int = -9) -> None:
    raw = bytearray(path.read_bytes())
    raw[place] ^= 4
    path.write_bytes(raw)


def a_shard(cache: Path) -> Path:
    return next(p for p in sorted(cache.rglob("*")) if p.name == "000002.h5" or p.name.startswith("c.2."))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_what_cannot_be_read_is_not_damaged(cache: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    victim, before, opened = a_shard(cache), files(cache), os.open

    def refused(path: Any, *args: Any, **options: Any) -> int:
        if path == victim.name and "dir_fd" in options:
            raise OSError(number, "refused")
        return opened(path, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr("os.open", refused)
        for apply in (False, True):
            with pytest.raises(StorageError, match=victim.name) as caught:
                repair(cache, apply=apply, progress=Silent())
            assert caught.value.exit_code == 8
    assert files(cache) == before


def test_a_foreign_plan_drops_nothing(cache: Path, images: Path, tmp_path: Path) -> None:
    backend = Store.open(cache).plan.layout.backend
    build(prepared(images, tmp_path / "other", backend=backend, seed=9), only=(1, 9), progress=Silent())
    before, own = files(cache), (cache / "plan.json").read_bytes()
    copy(tmp_path / "other" / "plan.json", cache / "plan.json")
    with pytest.raises(Mismatch, match=r"plan\.json looks foreign") as caught:
        repair(cache, apply=True, progress=Silent())
    assert "plan.json from another copy" in str(caught.value.hint)
    assert files(cache) == before
    (cache / "plan.json").write_bytes(own)
    assert verify(cache, VerifyOptions(), Silent()).ok


def test_a_part_of_another_plan_is_told_and_stays(cache: Path, images: Path, tmp_path: Path) -> None:
    backend = Store.open(cache).plan.layout.backend
    build(prepared(images, tmp_path / "other", backend=backend, seed=9), progress=Silent())
    receipt = Path("parts/v000/000001.json")
    copy(tmp_path / "other" / receipt, cache / receipt)
    before = files(cache)
    done = repair(cache, apply=True, progress=Silent())
    assert done.parts == ()
    assert [(f.part, f.kind) for f in done.others] == [(PartId(0, 1), "foreign")]
    assert files(cache) == before


def test_a_damaged_index_is_told_and_the_next_build_writes_it_again(cache: Path, images: Path) -> None:
    sound = (cache / "index.arrow").read_bytes()
    for harm in (lambda path: flip(path, 200), Path.unlink):
        harm(cache / "index.arrow")
        for apply in (False, True):
            done = repair(cache, apply=apply, progress=Silent())
            assert done.parts == ()
            assert [f.part for f in done.others] == [None]
            assert "index.arrow" in done.others[0].what
        build(prepare_again(cache, options(images)), progress=Silent())
        assert (cache / "index.arrow").read_bytes() == sound
        assert repair(cache, apply=False, progress=Silent()).others == ()


def test_the_files_zarr_needs_are_mended_when_applied(images: Path, tmp_path: Path) -> None:
    build(prepared(images, tmp_path / "c", backend="zarr"), progress=Silent())
    record = tmp_path / "c" / "views" / "v000.zarr" / "logits" / "zarr.json"
    flip(record)
    assert [f.part for f in repair(tmp_path / "c", apply=False, progress=Silent()).others] == [None]
    assert repair(tmp_path / "c", apply=True, progress=Silent()).others == ()
    assert verify(tmp_path / "c", VerifyOptions(), Silent()).ok


def test_strangers_among_the_parts_are_no_damage_and_stay(cache: Path) -> None:
    strangers = [cache / "parts" / name for name in ("README.txt", "v000/.nfs0000a1")]
    for path in strangers:
        path.write_text("not ours")
    report = verify(cache, VerifyOptions(), Silent())
    assert report.ok
    assert {f.path for f in report.warnings} == {str(path.relative_to(cache)) for path in strangers}
    done = repair(cache, apply=True, progress=Silent())
    assert (done.parts, done.others, len(done.warnings)) == ((), (), 2)
    assert all(path.exists() for path in strangers)


def test_nobody_builds_between_the_look_and_the_drop(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(place: Place, ask: VerifyOptions, progress: Silent) -> VerifyReport:
        with pytest.raises(Locked), build_lock(place):
            pass
        return verify(place, ask, progress)

    monkeypatch.setattr(module, "verify", look)
    flip(a_shard(cache))
    assert repair(cache, apply=True, progress=Silent()).parts == (PartId(0, 2),)


def test_looking_needs_no_permission_to_write(cache: Path, tmp_path: Path) -> None:
    copytree(cache, tmp_path / "readonly", ignore=lambda *_: ["locks"])
    assert repair(tmp_path / "readonly", apply=False, progress=Silent()).parts == ()
    assert not (tmp_path / "readonly" / "locks").exists()
