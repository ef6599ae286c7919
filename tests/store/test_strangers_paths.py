"""Paths, links and locks of caches made by a stranger: nothing outside is touched, nothing hangs."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from kdcache import Cache
from kdcache.base import beneath
from kdcache.base.progress import Silent
from kdcache.check.repair import repair
from kdcache.check.sampling import VerifyOptions
from kdcache.check.verify import verify
from kdcache.errors import Damage, Mismatch
from kdcache.store import Store
from kdcache.store.locks import build_lock
from kdcache.store.places.local import LocalPlace
from tests.store.crafted import PART, change_receipt, write_plan
from tests.store.strangers import refuses

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize(
    "path", ["k/../../payload", "../outside.bin", "/tmp/kd-absolute", "parts/../parts/v000/000001.h5"]
)
def test_the_paths_of_a_receipt_are_those_of_the_plan(cache: Path, outside: Path, path: str) -> None:
    (cache / "k").symlink_to(outside.parent)

    def elsewhere(record: dict[str, Any]) -> None:
        for seal in record["fields"].values():
            seal["file"] = path
        record["files"] = [record["files"][0] | {"path": path}]

    before = sorted(outside.parent.rglob("*"))
    change_receipt(cache, elsewhere)
    refuses(cache, "does not fit the plan: files")
    made = {p for p in set(outside.parent.rglob("*")) - set(before) if not p.is_relative_to(outside.parent / "merged")}
    assert not {p for p in made if not p.is_relative_to(outside.parent / "converted")}
    assert outside.read_bytes() == b"precious" * 4096


def test_a_signal_called_like_a_way_out_removes_nothing(cache: Path, outside: Path) -> None:
    plan = Store.open(cache).plan
    name = "../../../outside.bin"
    stored = [s.model_copy(update={"signal": s.signal.model_copy(update={"name": name})}) for s in plan.signals[1:2]]
    blocks = {name: 1, "view_digest": 4}
    layout = plan.layout.model_copy(update={"block_rows": blocks})
    teacher = plan.teacher.model_copy(update={"signals": (stored[0].signal,)})
    write_plan(cache, plan.model_copy(update={"signals": tuple(stored), "layout": layout, "teacher": teacher}))
    for act in (lambda: repair(cache, apply=True, progress=Silent()), lambda: Store.open(cache)):
        with pytest.raises(Mismatch, match="cannot be called"):
            act()
    assert outside.exists()


# links, pipes and devices


def places(backend: str) -> list[str]:
    """One of every kind of file of a cache."""
    part = "parts/v000/000001.h5" if backend == "hdf5" else "views/v000.zarr/embedding/c.1.0"
    return ["plan.json", "index.arrow", "parts/v000/000001.json", part]


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
@pytest.mark.parametrize("place", range(4))
def test_only_plain_files_are_opened(cache: Path, outside: Path, backend: str, kind: str, place: int) -> None:
    path = cache / places(backend)[place]
    shutil.move(path, outside.parent / "real")
    if kind == "link":
        path.symlink_to(outside.parent / "real")  # with the very bytes that belong there
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(Damage, match=path.name):
        Cache.open(cache).get("img/1/ü00050.jpg")
    with pytest.raises(Damage, match=path.name):
        list(Cache.open(cache).stream(8))
    if path.name != "plan.json":
        assert path.name in str(verify(cache, VerifyOptions(), Silent()).findings[0])


@pytest.mark.parametrize("folder", ["parts", "parts/v000", "views", "locks"])
def test_no_folder_is_a_link(cache: Path, outside: Path, backend: str, folder: str) -> None:
    there = outside.parent / "moved"
    if (cache / folder).exists():
        shutil.move(cache / folder, there)
    else:
        there.mkdir()
    (cache / folder).symlink_to(there)
    before = sorted(there.rglob("*"))
    with pytest.raises(Damage, match=folder):
        repair(cache, apply=True, progress=Silent())
    assert sorted(there.rglob("*")) == before


def test_the_cache_itself_may_be_reached_through_a_link(cache: Path) -> None:
    (cache.parent / "link").symlink_to(cache)
    store = Store.open(cache.parent / "link")
    with store.building():
        assert store.missing() == []
    assert verify(cache.parent / "link", VerifyOptions(), Silent()).ok


@pytest.mark.parametrize("name", ["build.lock", "turn.lock", "share-1-of-2.lock"])
@pytest.mark.parametrize("how", ["link", "dangling", "hard link", "pipe"])
def test_a_lock_never_writes_into_another_file(cache: Path, outside: Path, name: str, how: str) -> None:
    lock, target = cache / "locks" / name, outside if how != "dangling" else outside.with_name("new")
    lock.unlink(missing_ok=True)
    if how == "hard link":
        os.link(outside, lock)
    elif how == "pipe":
        os.mkfifo(lock)
    else:
        lock.symlink_to(target)
    with pytest.raises(Damage, match=name), build_lock(LocalPlace(cache), (1, 2) if name.startswith("share") else None):
        pass
    assert outside.read_bytes() == b"precious" * 4096
    assert target.exists() == (how != "dangling")


def test_what_a_build_writes_replaces_a_link_and_not_its_target(cache: Path, outside: Path) -> None:
    store = Store.open(cache)
    for name in ("rejected.jsonl", "parts/v000/000001.json"):
        (cache / name).unlink(missing_ok=True)
        (cache / name).symlink_to(outside)
    with store.building():
        store.drop_part(PART)
        store.write_rejected()
    assert outside.read_bytes() == b"precious" * 4096
    assert not (cache / "rejected.jsonl").is_symlink()
    os.unlink(cache / "rejected.jsonl")
    os.mkfifo(cache / "rejected.jsonl")
    with pytest.raises(Damage, match=r"rejected\.jsonl"):
        store.rejected()


@pytest.mark.parametrize("name", ["../up", "/etc/hostname", "a//b", ".", "a/./b", "a/..", "nul\0"])
def test_no_name_leads_out_of_a_folder(tmp_path: Path, name: str) -> None:
    for act in (lambda: LocalPlace(tmp_path).read(name, 10), lambda: beneath.remove(tmp_path, name)):
        with pytest.raises(Damage, match="is no name below"):
            act()
