"""`list_caches`: each cache of a folder is an entry, whatever is the matter with it; the first is the default of all commands."""

import os
import shutil
from pathlib import Path

import pytest

from kdcache.base.figures import clock, moment
from kdcache.base.newest import newest_cache
from kdcache.store import Store, overview
from kdcache.store.overview import list_caches

GOLDEN = Path(__file__).parents[1] / "golden" / "caches"


@pytest.fixture
def root(tmp_path) -> Path:
    """Three golden caches: `old`, `middle` (not complete) and `new`."""
    folder = tmp_path / "caches"
    for seconds, (name, golden) in enumerate({"old": "plain", "middle": "interrupted", "new": "zarr"}.items()):
        shutil.copytree(GOLDEN / golden, folder / name)
        os.utime(folder / name / "plan.json", (1_700_000_000 + seconds,) * 2)
    return folder


def test_the_newest_comes_first_and_is_the_default(root):
    assert [entry.path.name for entry in list_caches(root)] == ["new", "middle", "old"]
    assert list_caches(root)[0].path == newest_cache(root)
    os.utime(root / "old" / "plan.json", (1_700_000_009,) * 2)
    assert list_caches(root)[0].path == newest_cache(root) == root / "old"


def test_an_entry_has_what_the_plan_says_and_the_bytes_that_receipts_say(root):
    for entry in list_caches(root):
        store = Store.open(entry.path)
        plain = entry.plain()
        assert plain["bytes"] == store.bytes() > 0
        assert plain["identity"] == store.identity
        assert plain["complete"] == (store.missing_count == 0)
        assert plain["parts_missing"] == store.missing_count
        assert plain["signals"] == {s.signal.name: s.codec for s in store.plan.signals}
        assert plain["planned"].startswith("2023-11-14T22:13:2")
        assert plain["readable"]
    assert [entry.plain()["complete"] for entry in list_caches(root)] == [True, False, True]


def test_what_cannot_be_read_is_listed_with_its_reason(root):
    flipped = bytearray((root / "new" / "plan.json").read_bytes())
    flipped[200] ^= 1
    (root / "new" / "plan.json").write_bytes(flipped)
    (root / "empty").mkdir()
    (root / "piped").mkdir()
    os.mkfifo(root / "piped" / "plan.json")
    (root / "linked").mkdir()
    (root / "linked" / "plan.json").symlink_to(root / "old" / "plan.json")
    (root / "circle").symlink_to(root / "circle")
    (root / ".hidden").mkdir()
    (root / "notes.txt").write_text("not a folder")
    reasons = {entry.path.name: entry.reason for entry in list_caches(root)}
    assert {name for name, reason in reasons.items() if reason is None} == {"old", "middle"}
    assert reasons.keys() == {"old", "middle", "new", "empty", "piped", "linked"}
    assert "damaged" in reasons["new"]
    assert "no plan.json" in reasons["empty"]
    assert "is a link" in reasons["linked"]
    assert "not opened" in reasons["piped"]
    for entry in list_caches(root):
        if entry.reason is not None:
            assert entry.plain().keys() == {"path", "planned", "readable", "reason"}
            assert entry.plain()["readable"] is False


@pytest.mark.parametrize("seconds", [10**15, -(10**15), 1 << 62])
def test_a_time_no_calendar_has_is_no_time(root, seconds, monkeypatch):
    """A file that was copied may claim any; a file system may hold fewer, so that the clock is asked directly as well."""
    assert moment(seconds * 10**9) is None
    assert clock(None) == ""
    monkeypatch.setattr(overview, "_planned", lambda cache: seconds * 10**9 if cache.name == "old" else None)
    entries = {entry.path.name: entry for entry in list_caches(root)}
    assert entries.keys() == {"old", "middle", "new"}
    assert entries["old"].plain()["planned"] is None


def test_a_folder_that_is_not_there_holds_no_caches(tmp_path):
    assert list_caches(tmp_path / "nowhere") == []
