"""Every place passes the suite that ships with the package; a folder does more, as a stranger may have filled it."""

import errno
import os
import pickle
import re
from pathlib import Path

import pytest

from kdcache.errors import Damage, StorageError, UsageError
from kdcache.store.places.local import LocalPlace
from kdcache.store.places.memory import MemoryPlace
from kdcache.store.places.place import Place
from kdcache.testing.places import PlaceContract


class TestLocalPlace(PlaceContract):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        return LocalPlace(tmp_path / "place")

    @pytest.fixture
    def same(self, tmp_path: Path) -> Place:
        return LocalPlace(tmp_path / "place")


class TestMemoryPlace(PlaceContract):
    @pytest.fixture
    def place(self) -> Place:
        return MemoryPlace("test")


class TestALocalPlaceWithoutHardLinks(TestLocalPlace):
    """As on FAT or some network shares. Two at the very same moment are kept apart by the store's lock there."""

    @pytest.fixture(autouse=True)
    def no_links(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refused(*_: object, **__: object) -> None:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr("os.link", refused)

    test_of_many_that_put_the_same_name_one_is_first = None  # type: ignore[assignment]


@pytest.fixture
def place(tmp_path: Path) -> LocalPlace:
    made = LocalPlace(tmp_path / "place")
    made.put_new("a/file", [b"inside"])
    (tmp_path / "outside").write_bytes(b"outside")
    return made


def test_a_folder_is_one_place_wherever_it_is_opened(place: LocalPlace) -> None:
    again = pickle.loads(pickle.dumps(place))
    assert again == place
    assert hash(again) == hash(place)
    assert again.read("a/file", 99) == b"inside"
    assert again.folder == place.folder


def test_memory_is_no_folder_and_goes_nowhere() -> None:
    place = MemoryPlace("x")
    with pytest.raises(UsageError, match="memory:x is not a folder on this machine"):
        _ = place.folder
    with pytest.raises(TypeError, match="cannot be sent to another"):
        pickle.dumps(place)


def test_nothing_is_reached_through_a_link(place: LocalPlace, tmp_path: Path) -> None:
    (place.folder / "link").symlink_to(tmp_path / "outside")
    (place.folder / "way").symlink_to(tmp_path)
    assert place.kind("link") == place.kind("way") == "link"
    for name in ("link", "way/outside"):
        for act in (lambda name=name: place.read(name, 99), lambda name=name: place.map(name)):
            with pytest.raises(Damage, match="is a link, so it is not opened"):
                act()
        with pytest.raises(Damage, match="is a link, so it is not opened"), place.lock(name):
            pass
    with pytest.raises(Damage, match="is a link"):
        place.replace("way/outside", [b"changed"])
    place.replace("link", [b"a file of its own"])
    assert not place.put_new("link", [b"another"])
    assert (tmp_path / "outside").read_bytes() == b"outside"


def test_a_new_file_does_not_take_the_name_of_a_link(place: LocalPlace, tmp_path: Path) -> None:
    (place.folder / "link").symlink_to(tmp_path / "nothing")
    assert not place.put_new("link", [b"x"])
    assert not (tmp_path / "nothing").exists()


def test_a_pipe_is_not_waited_for(place: LocalPlace) -> None:
    os.mkfifo(place.folder / "pipe")
    with pytest.raises(Damage, match="is not a file"):
        place.read("pipe", 99)


def test_a_lock_with_another_name_elsewhere_is_not_signed(place: LocalPlace, tmp_path: Path) -> None:
    os.link(tmp_path / "outside", place.folder / "lock")
    with pytest.raises(Damage, match="file of its own"), place.lock("lock", signature=b"x"):
        pass
    assert (tmp_path / "outside").read_bytes() == b"outside"


def test_a_folder_that_is_none_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    for place in (LocalPlace(tmp_path / "file"), LocalPlace(tmp_path / "nothing")):
        assert place.list() == []
        assert place.kind("a") is None
        with pytest.raises(FileNotFoundError):
            place.read("a", 9)
    with pytest.raises(UsageError, match="cannot make"):
        LocalPlace(tmp_path / "file").put_new("a", [b"x"])


@pytest.mark.parametrize("call", ["write", "fsync", "link", "open"])
def test_a_full_disk_is_told_and_leaves_nothing(place: LocalPlace, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(f"kdcache.base.atomic.os.{call}", full)
        with pytest.raises(StorageError, match="No space left on device") as caught:
            place.put_new("b", [b"x"])
    assert caught.value.hint is not None
    assert place.list() == ["a"]


def test_drafts_of_killed_processes_are_swept(place: LocalPlace) -> None:
    (place.folder / "a" / ".file.tmp-99-abcd").write_bytes(b"half")
    place.sweep()
    assert place.list("a") == ["file"]


TOUCHES = re.compile(
    r"\bos\.(open|read|pread|preadv|write|pwrite|stat|fstat|listdir|scandir|unlink|remove|rename|replace|link|mkdir|fsync)\b"
    r"|(?<![\w.])(?<!def )open\(|\.(read|write)_(bytes|text)\(|\.(is_file|exists|unlink|iterdir|glob|rglob|stat)\("
    r"|\bfcntl\b|\bshutil\b|\bbeneath\b|base\.atomic import (?!Buffer\n)"
)
"""What opens, makes, names or removes a file."""
ELSEWHERE = {"kdcache/stream/shelf.py": 'Path("/proc/meminfo").read_text()'}
BESIDE = {
    "from kdcache.base.atomic import storage_errors",
    'folders = [path for path in root.iterdir() if path.is_dir() and path.name[0] != "."] if root.is_dir() else []',
    "return os.stat(cache / PLAN).st_mtime_ns if (cache / PLAN).is_file() else None",
    "from kdcache.base.atomic import write_file",
    "if path.exists() or path.is_symlink():",
}
"""Lines that list the folder caches lie in, or write a picture somewhere else: no file of a cache."""


def test_only_a_place_touches_the_files_of_a_cache() -> None:
    root = Path(__file__).parents[2]
    found = []
    for folder in ("kdcache/store", "kdcache/stream", "kdcache/check", "kdcache/reshape"):
        for path in sorted((root / folder).rglob("*.py")):
            name = str(path.relative_to(root))
            lines = path.read_text().replace(ELSEWHERE.get(name, "\n"), "\n").splitlines(keepends=True)
            found += [f"{name}:{i}: {line.strip()}" for i, line in enumerate(lines, 1) if TOUCHES.search(line)]
    assert {line.split(": ", 1)[1] for line in found if "/places/" not in line} <= BESIDE, found
    assert any(line.startswith("kdcache/store/places/local.py") for line in found)
