"""The contract of every place (see `kdcache.store.places.place.Place`) as tests for pytest.

Derive from it in a test file, and provide an empty place. `same` opens the place a second time, as another process would; leave
it out if only one object can access the place:

    class TestMyPlace(PlaceContract):
        @pytest.fixture
        def place(self, tmp_path):
            return MyPlace(tmp_path)
"""

import threading
from collections.abc import Callable, Iterator

import pytest
import xxhash

from kdcache.errors import Damage
from kdcache.store.places.place import Place, file_digest

OUTSIDE = ("../up", "a/../../up", "/etc/hostname", "/a", "a//b", "a/", ".", "a/./b", "a/..", "nul\0")
"""Names that lead out of the place, or that are not in canonical form."""


class PlaceContract:
    """The tests of a place."""

    @pytest.fixture
    def place(self) -> Place:
        """An empty place."""
        raise NotImplementedError("give the suite a place: a fixture called `place`")

    @pytest.fixture
    def same(self, place: Place) -> Place:
        """The same place, opened a second time."""
        return place

    # writing

    @pytest.mark.parametrize("pieces", [[], [b""], [b"one"], [b"on", bytearray(b"e, tw"), memoryview(b"o")]], ids=len)
    def test_what_is_put_is_there_whole(self, place: Place, same: Place, pieces: list[bytes]) -> None:
        """A file that is written in several pieces has the same content, however it is read."""
        whole = b"".join(pieces)
        assert place.put_new("a/b/c", pieces)
        assert same.read("a/b/c", len(whole)) == whole
        assert same.size("a/b/c") == len(whole)
        assert bytes(same.map("a/b/c")) == whole

    def test_put_new_refuses_a_second(self, place: Place, same: Place) -> None:
        """`put_new` keeps an existing file, and leaves nothing of the second one."""
        assert place.put_new("a", [b"first"])
        assert not same.put_new("a", [b"second"])
        assert place.read("a", 99) == b"first"
        assert place.list() == ["a"]

    def test_of_many_that_put_the_same_name_one_is_first(self, place: Place) -> None:
        """If several threads put the same new name at the same time, exactly one succeeds."""
        start, won = threading.Barrier(8), list[int]()

        def put(number: int) -> None:
            start.wait(30)
            if place.put_new("a", [bytes([number]) * 1000]):
                won.append(number)

        threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(won) == 1
        assert place.read("a", 1000) == bytes(won) * 1000

    def test_replace_puts_another_in_its_place(self, place: Place, same: Place) -> None:
        """`replace` replaces an existing file, or creates a new one."""
        place.replace("a/b", [b"old"])
        before = same.map("a/b")
        with same.opened("a/b") as opened:
            place.replace("a/b", [b"ne", b"w"])
            assert opened.read(0, 9) == b"old", "an open file must keep the old content"
        assert bytes(before) == b"old"
        assert same.read("a/b", 9) == b"new"

    @pytest.mark.parametrize("write", [Place.put_new, Place.replace])
    def test_what_is_interrupted_leaves_nothing(self, place: Place, write: Callable[..., object]) -> None:
        """An interrupted write leaves no new file, and leaves an old file unchanged."""

        def pieces() -> Iterator[bytes]:
            yield b"half of it"
            assert place.kind("new") is None, "a file must be invisible before it is whole"
            raise KeyboardInterrupt

        place.put_new("old", [b"old"])
        with pytest.raises(KeyboardInterrupt):
            write(place, "new", pieces())
        with pytest.raises(KeyboardInterrupt):
            place.replace("old", pieces())
        assert place.read("old", 9) == b"old"
        assert place.list() == ["old"]

    def test_drafts_appear_when_they_are_committed_and_in_that_order(self, place: Place, same: Place) -> None:
        """Several drafts can be prepared and then committed in order, so that a receipt comes after its files."""
        with place.draft("a/1") as one, place.draft("a/2") as two, place.draft("a/3"):
            for draft in (one, two):
                draft.write(b"some")
                draft.write(b"thing")
                draft.flush()
            assert (one.nbytes, one.digest) == (9, xxhash.xxh3_128_hexdigest(b"something"))
            assert [name for name, kind in same.walk() if kind == "file"] == []
            assert same.list("a") == []
            two.commit()
            assert same.kind("a/2") == "file"
            assert same.kind("a/1") is None
            assert one.commit_new()
            place.settle(["a/1", "a/2"])
        assert same.list("a") == ["1", "2"]

    def test_remove_takes_away_what_is_there(self, place: Place, same: Place) -> None:
        """`remove` removes a file, and returns whether it existed."""
        place.put_new("a/b", [b"x"])
        assert same.remove("a/b")
        assert not place.remove("a/b")
        assert not place.remove("no/such")
        assert place.kind("a/b") is None

    def test_sweep_keeps_every_file(self, place: Place) -> None:
        """`sweep` removes only drafts."""
        place.put_new("a/b", [b"x"])
        place.sweep()
        assert place.read("a/b", 1) == b"x"

    # reading

    def test_a_range_ends_where_the_file_ends(self, place: Place) -> None:
        """Reading beyond the end of a file returns only existing bytes."""
        content = bytes(range(200)) * 50
        place.put_new("a", [content])
        for offset, size in ((0, 10_000), (0, 0), (9_999, 1), (9_990, 500), (10_000, 5), (20_000, 5), (4_095, 4_099)):
            assert place.read_range("a", offset, size) == content[offset : offset + size]
            with place.opened("a") as file:
                buffer = bytearray(size)
                count = file.read_into(offset, memoryview(buffer))
                assert buffer[:count] == content[offset : offset + size]

    def test_an_open_file_knows_its_length_and_digest(self, place: Place) -> None:
        """An open file has the right length and digest, and its map is read-only."""
        content = bytes(range(256)) * 100
        place.put_new("a", [content])
        with place.opened("a") as file:
            assert file.nbytes == len(content)
            assert file_digest(file) == xxhash.xxh3_128_hexdigest(content)
            file.will_need(0, file.nbytes)
            mapped = file.map()
        assert mapped.readonly
        assert mapped == content

    def test_bytes_can_be_put_at_an_address(self, place: Place) -> None:
        """Bytes of a file can be mapped at whole pages that the caller has reserved."""
        import ctypes
        import mmap

        content = bytes(range(256)) * 64
        place.put_new("a", [content])
        reserved = mmap.mmap(-1, len(content) + mmap.PAGESIZE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(reserved))
        with place.opened("a") as file:
            file.map_at(address, mmap.PAGESIZE, len(content) - mmap.PAGESIZE)
        assert reserved[: len(content) - mmap.PAGESIZE] == content[mmap.PAGESIZE :]

    def test_a_file_that_is_longer_than_allowed_is_not_read(self, place: Place) -> None:
        """A file that is too long raises Damage, which names the file and both sizes."""
        place.put_new("a", [bytes(1001)])
        with pytest.raises(Damage, match=r"a has 1,001 bytes, at most 1,000 are read"):
            place.read("a", 1000)

    def test_what_is_not_there_is_no_file(self, place: Place) -> None:
        """For a missing file, reading raises FileNotFoundError and `kind` returns None; reading a folder raises Damage."""
        place.put_new("a/b", [b"x"])
        for name in ("b", "a/c", "c/b"):
            assert place.kind(name) is None
            with pytest.raises(FileNotFoundError):
                place.read(name, 9)
        with pytest.raises(Damage, match="is not a file, so it is not opened"):
            place.read("a", 9)

    # names

    def test_list_is_in_order_and_one_folder_deep(self, place: Place) -> None:
        """`list` returns sorted names of direct entries; a folder exists if it contains something."""
        for name in ("b", "a/2", "a/10", "a/1/deep", "ab/1", "a.b"):
            place.put_new(name, [b"x"])
        assert place.list() == ["a", "a.b", "ab", "b"]
        assert place.list("a") == ["1", "10", "2"]
        assert place.list("nothing") == place.list("a/nothing") == []

    def test_walk_tells_what_everything_is(self, place: Place) -> None:
        """`walk` returns the kind of all entries, folders before their content."""
        for name in ("b", "a/2", "a/1/deep"):
            place.put_new(name, [b"x"])
        inner = [("a/1", "folder"), ("a/1/deep", "file"), ("a/2", "file")]
        assert list(place.walk()) == [("a", "folder"), *inner, ("b", "file")]
        assert list(place.walk("a")) == inner
        assert list(place.walk("nothing")) == []

    @pytest.mark.parametrize("name", OUTSIDE)
    def test_a_name_that_leads_out_is_refused(self, place: Place, name: str) -> None:
        """All methods refuse a name that leads out of the place, before anything is created."""
        acts: list[Callable[[], object]] = [
            lambda: place.read(name, 9),
            lambda: place.read_range(name, 0, 9),
            lambda: place.map(name),
            lambda: place.put_new(name, [b"x"]),
            lambda: place.replace(name, [b"x"]),
            lambda: place.list(name),
            lambda: list(place.walk(name)),
            lambda: place.kind(name),
            lambda: place.remove(name),
            lambda: place.lock(name).__enter__(),
            lambda: place.locked(name),
        ]
        for act in acts:
            with pytest.raises(Damage, match="is no name below"):
                act()
        assert place.list() == []

    def test_messages_name_the_place_and_the_file(self, place: Place) -> None:
        """`at` returns a text with the place and the file."""
        assert place.at("a/b").startswith(str(place))
        assert place.at("a/b").endswith("a/b")
        assert place.at("") == str(place)

    # locks

    def test_a_lock_is_held_by_one_alone(self, place: Place, same: Place) -> None:
        """Only one holder has an exclusive lock until it is released; other locks are independent."""
        with place.lock("locks/a"):
            for shared in (False, True):
                with pytest.raises(BlockingIOError), same.lock("locks/a", shared=shared):
                    pass
            assert same.locked("locks/a")
            with same.lock("locks/b"):
                pass
        assert not same.locked("locks/a")
        with same.lock("locks/a"):
            pass

    def test_a_shared_lock_is_held_by_many_and_by_none_alone(self, place: Place, same: Place) -> None:
        """Several holders can share a lock; an exclusive lock must wait for the last of them."""
        with place.lock("locks/a", shared=True):
            with same.lock("locks/a", shared=True):
                assert not place.locked("locks/a")
            with pytest.raises(BlockingIOError), same.lock("locks/a"):
                pass
        with same.lock("locks/a"):
            pass

    def test_who_waits_gets_the_lock(self, place: Place, same: Place) -> None:
        """A waiting process gets the lock as soon as it is free, and not before."""
        order: list[str] = []

        def wait() -> None:
            with same.lock("locks/a", wait=True):
                order.append("second")

        with place.lock("locks/a"):
            waiting = threading.Thread(target=wait)
            waiting.start()
            waiting.join(0.2)
            order.append("first")
        waiting.join(30)
        assert order == ["first", "second"]

    def test_a_lock_is_a_file_that_its_holder_signs(self, place: Place, same: Place) -> None:
        """The lock file stays with its signature; the next signature replaces it, a lock without signature keeps it."""
        with place.lock("locks/a", signature=b"a long signature"), place.lock("locks/b", shared=True):
            assert same.read("locks/a", 99) == b"a long signature"
        with same.lock("locks/a", signature=b"short"):
            pass
        with same.lock("locks/a"):
            pass
        assert place.read("locks/a", 99) == b"short"
        assert place.list("locks") == ["a", "b"]
