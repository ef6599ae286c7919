"""Parts side by side are one array: also when more is wanted than may be there at once."""

import mmap
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kdcache.base.addresses import PAGE
from kdcache.errors import StorageError
from kdcache.store.plan import PartId
from kdcache.store.reading.arena import HUGE, Arena
from kdcache.store.reading.inflated import Inflated
from kdcache.store.reading.mapped import Mapped, reads_huge_pages
from kdcache.stream import Shelf
from kdcache.stream.ahead import PATIENCE, ReadAhead
from kdcache.stream.order import Order, Share
from tests.store.making import Made, make_cache, make_plan
from tests.stream.conftest import stored_row


def resident(arena: Arena) -> int:
    """Bytes of an arena that are in memory, as the kernel says."""
    with open("/proc/self/pagemap", "rb") as file:
        file.seek(arena.base // PAGE * 8)
        words = np.frombuffer(file.read(arena.stride * arena.grid.parts // PAGE * 8), np.uint64)
    return int(np.count_nonzero(words >> np.uint64(63))) * PAGE


def taken(low: int, high: int) -> bool:
    """True when something is mapped between two addresses."""
    with open("/proc/self/maps") as file:
        spans = [[int(end, 16) for end in line.split(maxsplit=1)[0].split("-")] for line in file]
    return any(start < high and low < stop for start, stop in spans)


def crowd(shelf: Shelf, name: str) -> Arena:
    """The arena of a field, allowed to keep very little."""
    arena = shelf.arena(name, 0)
    if isinstance(arena, Mapped):
        arena._most_parts = 2
    else:
        assert isinstance(arena, Inflated)
        arena._most_blocks = 3
    assert arena.crowded
    return arena


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(batches=st.lists(st.lists(st.integers(0, 89), min_size=1, max_size=20), min_size=1, max_size=8))
def test_a_crowded_arena_reads_the_same(made: Made, batches: list[list[int]]) -> None:
    shelf = Shelf(made.store, 1)
    for name in ("logits", "features"):
        arena = crowd(shelf, name)
        for rows in batches:
            out = np.empty((len(rows), *arena.field.shape), arena.field.dtype)
            ascending = np.unique(rows)
            arena.announce(ascending, ascending + 1)
            arena.gather(np.array(rows), out)
            assert all(np.array_equal(out[i], stored_row(made, 1, row, name)) for i, row in enumerate(rows))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(ends=st.lists(st.integers(0, 90), min_size=2, max_size=60, unique=True))
def test_announced_bytes_cover_the_rows_and_stay_in_the_parts(made: Made, ends: list[int]) -> None:
    arena = Shelf(made.store, 0).arena("features", 0)
    first, last = np.sort(ends)[: len(ends) // 2 * 2].reshape(-1, 2).T
    covered: set[int] = set()
    for start, stop in arena._bytes_of(*arena._within_parts(first, last)):
        assert 0 <= start < stop
        assert start // arena.stride == (stop - 1) // arena.stride, "no span reaches over the end of a part"
        covered.update(range(start, stop))
    rows = np.concatenate([np.arange(*span) for span in zip(first, last, strict=True)])
    for place in arena.locate(rows).tolist():
        assert covered.issuperset(range(place * arena.row_bytes, (place + 1) * arena.row_bytes))


def test_the_kernel_is_asked_in_bites_it_takes_whole(untouched: Made, monkeypatch) -> None:
    monkeypatch.setattr("kdcache.store.reading.mapped.ANNOUNCED_BYTES", 100)
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(Arena, "advise", lambda self, start, stop, advice: asked.append((start, stop)))
    shelf = Shelf(untouched.store, 0)
    shelf.dense = False
    assert shelf.announce(np.array([0]), np.array([32]), ["features"]) == []
    assert [stop - start for start, stop in asked] == [100] * 7 + [68]


@pytest.mark.skipif(not reads_huge_pages(), reason="this kernel does not fill huge pages of files")
def test_data_that_fits_into_memory_is_brought_in_by_huge_pages(untouched: Made, monkeypatch) -> None:
    monkeypatch.setattr("kdcache.stream.shelf.PAGE", 1)
    shelf = Shelf(untouched.store, 0)
    assert shelf.dense
    pages = shelf.announce(np.array([0, 80]), np.array([3, 81]), ["embedding"])
    arena = shelf.arena("embedding", 0)
    assert {page for _, page in pages} == {arena.base // HUGE, (arena.base + 2 * arena.stride) // HUGE}
    for page in pages:
        shelf.bring(page)
    out = np.empty((2, 12), np.float32)
    shelf.fetch(np.array([80, 1]), {"embedding": out})
    assert np.array_equal(out[0], stored_row(untouched, 0, 80, "embedding"))


def test_data_that_does_not_fit_is_read_exactly(untouched: Made, monkeypatch) -> None:
    monkeypatch.setattr("kdcache.stream.shelf.available_bytes", lambda: 1000)
    assert not Shelf(untouched.store, 0).dense


def test_blocks_that_are_given_up_leave_memory(tmp_path) -> None:
    """The decompressed blocks in memory stay as many as were allowed, whatever their size in pages."""
    from kdcache.signals.signal import Signal

    signals = ((Signal(name="features", shape=(6, 411)), "float32"),)
    plan = make_plan(compression="zstd:1", rows=120, signals=signals, views=1, target_bytes=1 << 20)
    made = make_cache(tmp_path / "c", plan, rows=120)
    arena = Shelf(made.store, 0).arena("features", 0)
    assert isinstance(arena, Inflated)
    block = arena.grid.block_rows * arena.row_bytes
    assert block % PAGE, "blocks share pages with their neighbours"
    arena._most_blocks = 5
    rows = Order(120, seed=3).slice(0, 120)
    out = np.empty((1, 6, 411), np.float32)
    for number, row in enumerate(rows.tolist()):
        arena.gather(np.array([row]), out)
        assert np.array_equal(out[0], stored_row(made, 0, row, "features"))
        if number % 12 == 11:
            assert 0 < resident(arena) <= 5 * (block + 2 * PAGE)


def test_threads_share_a_crowded_arena(made: Made) -> None:
    arena = crowd(Shelf(made.store, 0), "embedding")
    wrong: list[int] = []

    def read(seed: int) -> None:
        out = np.empty((1, 12), np.float32)
        for row in Order(90, seed=seed).slice(0, 90).tolist():
            arena.gather(np.array([row]), out)
            if not np.array_equal(out[0], stored_row(made, 0, row, "embedding")):
                wrong.append(row)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_too_little_address_space_is_said(untouched: Made, monkeypatch) -> None:
    def refuse(*args: object, **settings: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("kdcache.store.reading.arena.mmap.mmap", refuse)
    with pytest.raises(StorageError, match=r"cannot reserve .* bytes of address space for 'logits'"):
        Shelf(untouched.store, 0).arena("logits", 0)


def test_every_block_is_hashed_once(made: Made, monkeypatch) -> None:
    checked: list[tuple[str, str, int]] = []
    monkeypatch.setattr("kdcache.store.reading.piece.Piece.check", lambda p, n, c: checked.append((p.part, p.field, n)))
    shelf = Shelf(made.store, 0)
    out = np.empty((5, *made.store.fields["logits"].shape), "<u2")
    for rows in (*Order(90, seed=1).slice(0, 90).reshape(-1, 5), *Order(90, seed=2).slice(0, 90).reshape(-1, 5)):
        shelf.fetch(rows, {"logits": out})
    blocks = -(-90 // made.store.plan.layout.block_rows["logits"])
    assert len(checked) == len(set(checked)) == blocks


def test_a_closed_arena_gives_its_addresses_back(made: Made) -> None:
    arena = Shelf(made.store, 0).arena("logits", 0)
    arena.gather(np.arange(90), np.empty((90, *arena.field.shape), "<u2"))
    low, high = arena.base, arena.base + arena.stride * arena.grid.parts
    assert taken(low, high)
    del arena
    assert not taken(low, high)


class AtOnce(Executor):
    """Does what it is given before it returns."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        function(*args, **named)
        return Future()


class Kernel:
    """Counts what is announced, and plays a disk that is read or not. In the place of a shelf."""

    def __init__(self, monkeypatch, *, before: bool = False, pages: int = 0) -> None:
        self.told: list[np.ndarray] = []
        self.reads, self.before, self.pages = 0, before, pages
        self.brought: list[tuple[str, int]] = []
        monkeypatch.setattr("kdcache.stream.ahead._disk_reads", lambda: self.reads)

    def touched(self, names: list[str]) -> bool:
        return self.before

    def bring(self, page: tuple[str, int]) -> None:
        self.brought.append(page)

    def ahead(self, order: Order, share: Share, *, step: int, row_bytes: int) -> ReadAhead:
        return ReadAhead(order, share, self, ["x"], AtOnce(), step=step, row_bytes=row_bytes)

    def announce(self, first: np.ndarray, last: np.ndarray, names: list[str]) -> list[tuple[str, int]]:
        assert (first < last).all()
        assert (last[:-1] <= first[1:]).all()
        self.told.append(np.concatenate([np.arange(*span) for span in zip(first, last, strict=True)]))
        return [("x", page) for page in np.unique(self.told[-1] // self.pages).tolist()] if self.pages else []


def test_rows_are_announced_before_they_are_wanted_while_the_disk_is_read(monkeypatch) -> None:
    kernel = Kernel(monkeypatch)
    order = Order(1000, shuffle="full", seed=1)
    monkeypatch.setattr("kdcache.stream.ahead.AHEAD_BYTES", 100)
    ahead = kernel.ahead(order, Share(1000, 10), step=20, row_bytes=1)
    looks: list[int] = []
    for position in range(0, 1000, 20):
        kernel.reads += 1
        ahead.advance(position)
        announced = np.concatenate(kernel.told)
        assert np.array_equal(np.sort(announced), np.sort(order.slice(0, len(announced)))), "the first ones, each once"
        looks.append(len(announced) - position)
    assert looks[:5] == [20, 40, 80, 100, 100]
    assert set(looks[3:-5]) == {100}
    assert len(announced) == 1000


def test_an_uncounted_read_does_not_end_the_announcing(monkeypatch) -> None:
    kernel = Kernel(monkeypatch)
    monkeypatch.setattr("kdcache.stream.ahead.AHEAD_BYTES", 10)
    ahead = kernel.ahead(Order(1000, shuffle=False), Share(1000, 10), step=10, row_bytes=1)
    kernel.reads += 1
    ahead.advance(0)
    kernel.reads += 1
    for position in range(10, 200, 10):
        ahead.advance(position)
    assert len(kernel.told) == 1 + PATIENCE


def test_nothing_is_announced_once_all_is_in_memory(monkeypatch) -> None:
    kernel = Kernel(monkeypatch)
    ahead = kernel.ahead(Order(1000, shuffle=False), Share(1000, 10), step=10, row_bytes=1 << 30)
    ahead.advance(0)
    assert len(kernel.told) == 1, "nobody knows yet"
    for position in range(10, 500, 10):
        ahead.advance(position)
    assert len(kernel.told) == 1
    kernel.reads += 1
    ahead.advance(500)
    assert len(kernel.told) == 2
    assert kernel.told[-1].min() == 500


def test_a_view_that_was_read_before_is_taken_to_be_in_memory(monkeypatch) -> None:
    kernel = Kernel(monkeypatch, before=True)
    order = Order(1000, shuffle=False)
    ahead = kernel.ahead(order, Share(1000, 10), step=10, row_bytes=1)
    ahead.advance(0)
    assert kernel.told == []
    kernel.reads += 1
    ahead.advance(10)
    assert kernel.told[0].tolist() == list(range(10, 20)), "it was wrong and makes up for it"


def test_a_shuffle_by_blocks_announces_the_next_windows_while_one_is_read(monkeypatch) -> None:
    kernel = Kernel(monkeypatch)
    order = Order(1000, shuffle="blocks", run=10, window=5)
    ahead = kernel.ahead(order, Share(1000, 8), step=8, row_bytes=1 << 30)
    for position, windows in ((0, 3), (8, 3), (48, 3), (56, 4), (96, 4), (104, 5)):
        kernel.reads += 1
        ahead.advance(position)
        assert len(kernel.told) == windows
    for number, rows in enumerate(kernel.told):
        assert np.array_equal(rows, np.sort(order.slice(number * 50, number * 50 + 50)))


def test_each_process_announces_its_own_rows(monkeypatch) -> None:
    order, announced = Order(960, seed=1), []
    for rank in range(3):
        kernel = Kernel(monkeypatch)
        kernel.ahead(order, Share(960, 8, rank, 3), step=960, row_bytes=1).advance(0)
        announced.append(set(np.concatenate(kernel.told).tolist()))
    assert set.union(*announced) == set(range(960))
    assert sum(map(len, announced)) == 960


def test_each_huge_page_is_brought_in_once(monkeypatch) -> None:
    kernel = Kernel(monkeypatch, pages=100)
    ahead = kernel.ahead(Order(1000, seed=1), Share(1000, 10), step=200, row_bytes=1)
    for position in range(0, 1000, 200):
        kernel.reads += 1
        ahead.advance(position)
    assert sorted(kernel.brought) == [("x", page) for page in range(10)]


@pytest.mark.skipif(not hasattr(mmap, "MADV_WILLNEED"), reason="this system has no madvise")
def test_announcing_brings_rows_into_memory(made: Made) -> None:
    shelf = Shelf(made.store, 0)
    shelf.announce(np.array([0, 80]), np.array([70, 90]), ["logits", "embedding"])
    out = np.empty((90, 12), np.float32)
    shelf.fetch(np.arange(90), {"embedding": out})
    assert np.array_equal(out[44], stored_row(made, 0, 44, "embedding"))


def test_the_short_last_part_ends_where_it_ends(made: Made) -> None:
    last = PartId(0, made.store.plan.parts_per_view - 1)
    rows = made.store.plan.rows_of(last)
    assert len(rows) % made.store.plan.layout.block_rows["logits"], "its last block is short"
    out = np.empty((1, *made.store.fields["logits"].shape), "<u2")
    shelf = Shelf(made.store, 0)
    shelf.fetch(np.array([rows.stop - 1]), {"logits": out})
    assert np.array_equal(out[0], stored_row(made, 0, rows.stop - 1, "logits"))
