"""Order, sharding, resuming and counting go by example: a row, or an item of a row."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kdcache import Cache
from kdcache.errors import UsageError
from kdcache.stream import Examples, Order, Share
from tests.store.making import Made
from tests.stream.conftest import stored_row

COUNTS = st.lists(st.integers(0, 5), min_size=1, max_size=60).map(np.array)
SHUFFLES = ("full", "blocks", False)


def pairs_of(counts: np.ndarray, bad: frozenset[int] | set[int] = frozenset()) -> list[tuple[int, int]]:
    return [(row, item) for row, count in enumerate(counts.tolist()) if row not in bad for item in range(count)]


def pairs_in(order: Order, examples: np.ndarray) -> list[tuple[int, int]]:
    items = order.examples.items_of(examples)
    return list(zip(order.rows_of(examples).tolist(), items.tolist(), strict=True))


@given(COUNTS)
def test_every_item_is_one_example_in_row_order(counts: np.ndarray) -> None:
    examples = Examples.of_items(counts)
    every = np.arange(len(examples))
    assert list(zip(examples.rows_of(every).tolist(), examples.items_of(every).tolist(), strict=True)) == pairs_of(
        counts
    )
    rows = np.arange(len(counts))[::-1]
    found = examples.of_rows(rows)
    assert examples.rows_of(found).tolist() == np.repeat(rows, counts[rows]).tolist()
    assert sorted(found.tolist()) == every.tolist()


def test_many_items_of_a_row_are_counted() -> None:
    examples = Examples.of_items(np.array([200, 0, 70_000, 1]))
    assert len(examples) == 70_201
    assert examples.rows_of(np.array([199, 200, 70_200])).tolist() == [0, 2, 3]
    assert examples.items_of(np.array([199, 200, 70_199, 70_200])).tolist() == [199, 0, 69_999, 0]


def test_without_items_nothing_is_made() -> None:
    examples, rows = Examples(10), np.array([3, 1])
    assert examples.rows_of(rows) is rows
    assert examples.of_rows(rows) is rows
    assert examples.items_of(rows) is None
    assert len(examples) == 10
    assert not [value for value in vars(examples).values() if isinstance(value, np.ndarray)]


@given(COUNTS, st.data())
def test_every_example_of_a_usable_row_comes_once_over_all_processes(counts: np.ndarray, data: st.DataObject) -> None:
    bad = data.draw(st.sets(st.integers(0, len(counts) - 1), max_size=4))
    order = Order(
        Examples.of_items(counts),
        seed=data.draw(st.integers(0, 3)),
        epoch=data.draw(st.integers(0, 3)),
        shuffle=data.draw(st.sampled_from(SHUFFLES)),
        rejected=np.array(sorted(bad), np.int64),
        run=data.draw(st.integers(1, 9)),
        window=data.draw(st.integers(1, 4)),
    )
    world, batch = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 5))
    shares = [Share(len(order), batch, rank, world) for rank in range(world)]
    spans = [share.span(number) for number in range(len(shares[0])) for share in shares]
    whole = order.slice(0, len(order))
    assert [e for span in spans for e in order.slice(*span).tolist()] == whole.tolist(), "sharded equals unsharded"
    assert sorted(pairs_in(order, whole)) == pairs_of(counts, bad)
    first = data.draw(st.integers(0, len(order)))
    assert order.slice(first, len(order)).tolist() == whole[first:].tolist(), "resumed equals uninterrupted"


@given(COUNTS, st.integers(1, 9), st.integers(1, 4), st.data())
def test_the_rows_of_a_window_are_spans_that_do_not_overlap(
    counts: np.ndarray, run: int, window: int, data: st.DataObject
) -> None:
    bad = np.array(sorted(data.draw(st.sets(st.integers(0, len(counts) - 1), max_size=4))), np.int64)
    order = Order(Examples.of_items(counts), shuffle="blocks", run=run, window=window, rejected=bad)
    position = 0
    while position < len(order):
        first, last = order.window(position)
        end = order.lookahead(position)
        assert (first < last).all()
        assert (last[:-1] <= first[1:]).all()
        announced = set(chain.from_iterable(range(*span) for span in zip(first, last, strict=True)))
        assert set(order.rows_of(order.slice(position, end)).tolist()) <= announced
        assert end > position
        position = end


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 4, 90)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(shuffle=st.sampled_from(SHUFFLES), batch=st.sampled_from([1, 7, 200]), superbatch=st.sampled_from([1, 4 << 20]))
def test_batches_hold_the_rows_of_their_examples(made: Made, counts, shuffle, batch, superbatch) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kdcache.stream.flow.SUPERBATCH_BYTES", superbatch)
        cache, seen = Cache.open(made.store.path), []
        for each in cache.stream(batch, shuffle=shuffle, seed=2, examples=Examples.of_items(counts)):
            seen += zip(each.rows.tolist(), each.items.tolist(), strict=True)
            for name, array in each.fields.items():
                for row, stored in zip(each.rows.tolist(), array, strict=True):
                    assert np.array_equal(stored, stored_row(made, 0, row, name)), (name, row)
            assert each.copy().items is each.items
    assert sorted(seen) == pairs_of(counts, set(made.bad))


def test_repeated_rows_are_read_once(untouched: Made, monkeypatch) -> None:
    from kdcache.stream import Shelf

    fetched: list[int] = []
    fetch = Shelf.fetch
    monkeypatch.setattr(Shelf, "fetch", lambda shelf, rows, out: (fetched.append(len(rows)), fetch(shelf, rows, out)))
    examples = Examples.of_items(np.full(90, 6))
    batches = list(Cache.open(untouched.store.path).stream(12, shuffle=False, examples=examples))
    assert sum(map(len, batches)) == 88 * 6
    assert sum(fetched) == 88


@pytest.mark.parametrize("world", [1, 3])
def test_a_stream_of_items_resumes_at_every_batch(untouched: Made, counts, world: int) -> None:
    cache, examples = Cache.open(untouched.store.path), Examples.of_items(counts)

    def batches(start: int) -> list[tuple[int, list[int], bytes]]:
        streams = [
            cache.stream(6, seed=1, epoch=2, start=start, rank=rank, world=world, examples=examples, shuffle="blocks")
            for rank in range(world)
        ]
        return [
            (b.number, b.examples.tolist(), b.fields["embedding"].tobytes())
            for group in zip(*streams, strict=True)
            for b in group
        ]

    whole = batches(0)
    assert len(whole) == world * -(-sum(counts[r] for r in range(90) if r not in untouched.bad) // (6 * world))
    for start in range(len(whole) // world + 1):
        assert batches(start) == whole[start * world :]


def test_one_item_a_row_is_the_order_of_rows(untouched: Made) -> None:
    cache = Cache.open(untouched.store.path)
    ones = Examples.of_items(np.ones(90, np.int64))
    for shuffle in SHUFFLES:
        with_items = [(b.rows.tolist(), b.items.tolist()) for b in cache.stream(8, shuffle=shuffle, examples=ones)]
        without = [(b.rows.tolist(), [0] * len(b)) for b in cache.stream(8, shuffle=shuffle)]
        assert with_items == without


def test_examples_of_other_rows_are_refused(untouched: Made) -> None:
    cache = Cache.open(untouched.store.path)
    with pytest.raises(UsageError, match=r"the examples are for 5 rows, .* has 90"):
        cache.stream(examples=Examples.of_items(np.ones(5, np.int64)))
    with pytest.raises(UsageError, match="row 1 has -2 items"):
        Examples.of_items(np.array([1, -2]))
