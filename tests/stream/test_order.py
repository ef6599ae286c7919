"""The order of an epoch: every usable row once, the same for any number of processes, resumable anywhere."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kdcache.errors import UsageError
from kdcache.stream.order import Order, Share, Shuffle, shuffled, view_of

SHUFFLES: tuple[Shuffle, ...] = ("full", "blocks", False)


@st.composite
def orders(draw: st.DrawFn) -> tuple[Order, set[int]]:
    rows = draw(st.integers(1, 300))
    bad = draw(st.sets(st.integers(0, rows - 1), max_size=min(rows - 1, 12)))
    order = Order(
        rows,
        seed=draw(st.integers(0, 3)),
        epoch=draw(st.integers(0, 3)),
        shuffle=draw(st.sampled_from(SHUFFLES)),
        rejected=np.array(sorted(bad), np.int64),
        run=draw(st.integers(1, 40)),
        window=draw(st.integers(1, 5)),
    )
    return order, set(range(rows)) - bad


@given(orders())
def test_every_usable_row_comes_exactly_once(given_order: tuple[Order, set[int]]) -> None:
    order, usable = given_order
    rows = order.slice(0, len(order))
    assert len(rows) == len(order) == len(usable)
    assert set(rows.tolist()) == usable


@given(orders(), st.data())
def test_any_slice_is_that_part_of_the_whole(given_order: tuple[Order, set[int]], data: st.DataObject) -> None:
    order, _ = given_order
    first = data.draw(st.integers(0, len(order)))
    last = data.draw(st.integers(first, len(order)))
    part = order.slice(first, last)
    assert part.tolist() == order.slice(0, len(order))[first:last].tolist()


def test_a_slice_beyond_the_end_stops_at_the_end() -> None:
    assert len(Order(10, shuffle="full").slice(8, 20)) == 2


@pytest.mark.parametrize("shuffle", SHUFFLES)
@pytest.mark.parametrize("rows", [40, 47])
@given(batch=st.integers(1, 4), drop_last=st.booleans())
def test_any_number_of_processes_sees_the_same_global_batches(
    shuffle: Shuffle, rows: int, batch: int, drop_last: bool
) -> None:
    order = Order(rows, seed=5, epoch=2, shuffle=shuffle, run=6, window=2)

    def global_batches(world: int) -> list[list[int]]:
        shares = [Share(rows, batch * 24 // world, rank, world, drop_last) for rank in range(world)]
        assert len({len(share) for share in shares}) == 1, "every process takes equally many steps"
        return [
            [row for share in shares for row in order.slice(*share.span(number)).tolist()]
            for number in range(len(shares[0]))
        ]

    alone = global_batches(1)
    for world in (2, 3, 4, 8):
        assert global_batches(world) == alone
    seen = [row for group in alone for row in group]
    assert seen == order.slice(0, len(seen)).tolist()
    assert len(seen) == (rows // (batch * 24) * batch * 24 if drop_last else rows)


def test_the_last_rows_are_divided_evenly() -> None:
    sizes = [last - first for first, last in (Share(107, 5, rank, 4).span(5) for rank in range(4))]
    assert sum(sizes) == 7
    assert max(sizes) - min(sizes) == 1


def test_epochs_and_seeds_differ() -> None:
    def order(seed: int, epoch: int, shuffle: Shuffle) -> list[int]:
        return Order(200, seed=seed, epoch=epoch, shuffle=shuffle, run=10, window=4).slice(0, 200).tolist()

    for shuffle in ("full", "blocks"):
        distinct = {tuple(order(seed, epoch, shuffle)) for seed in (0, 1) for epoch in (0, 1, 2)}
        assert len(distinct) == 6
    assert order(0, 0, False) == order(1, 5, False) == list(range(200))


def test_the_order_of_today_is_the_order_of_tomorrow() -> None:
    assert Order(12, seed=7, epoch=3).slice(0, 12).tolist() == [6, 3, 5, 1, 8, 0, 2, 7, 4, 10, 11, 9]
    blocks = Order(12, seed=7, epoch=3, shuffle="blocks", run=3, window=2)
    assert blocks.slice(0, 12).tolist() == [8, 7, 1, 2, 0, 6, 3, 9, 5, 10, 11, 4]


def test_the_example_in_the_docstring_is_right() -> None:
    order = Order(6, seed=7, rejected=np.array([3]))
    assert order.slice(0, 5).tolist() == [0, 2, 1, 5, 4]
    spans = [[Share(5, 1, rank, 2).span(number) for number in range(3)] for rank in range(2)]
    assert spans == [[(0, 1), (2, 3), (4, 4)], [(1, 2), (3, 4), (4, 5)]]


def test_blocks_keep_neighbours_together() -> None:
    order = Order(1000, seed=1, shuffle="blocks", run=50, window=2)
    for start in range(0, 1000, 100):
        window = np.sort(order.slice(start, start + 100))
        assert len(np.unique(window // 50)) == 2, "a window is made of whole runs"
        assert order.lookahead(start + 17) == start + 100


def test_a_full_shuffle_is_even() -> None:
    """Each row lands in each tenth of the epoch equally often."""
    landed: NDArray[np.int64] = np.zeros((50, 10), np.int64)
    for epoch in range(400):
        rows = Order(50, seed=3, epoch=epoch).slice(0, 50)
        landed[rows, np.arange(50) // 5] += 1
    chi_square = float(((landed - 40) ** 2 / 40).sum())
    assert 360 < chi_square < 540, "441 degrees of freedom, five sigma is 148, and rows are not independent"


def test_windows_are_mixed_inside() -> None:
    rows = Order(512, seed=0, shuffle="blocks", run=64, window=4).slice(0, 256)
    runs_by_quarter = [len(np.unique(rows[i : i + 64] // 64)) for i in range(0, 256, 64)]
    assert runs_by_quarter == [4, 4, 4, 4]


@given(st.integers(1, 2000), st.integers(0, 5))
def test_shuffled_is_a_permutation(count: int, seed: int) -> None:
    assert np.array_equal(np.sort(shuffled(count, seed, 1, 0)), np.arange(count))


@given(st.integers(1, 6), st.integers(0, 30))
def test_each_view_is_used_once_before_any_is_used_twice(count: int, epochs: int) -> None:
    views = list(range(count))[::-1]
    used = [view_of(epoch, views) for epoch in range(epochs)]
    uses = [used.count(view) for view in views]
    assert max(uses) - min(uses) <= 1


def test_wrong_requests_name_both_values() -> None:
    some: Any = "some"
    with pytest.raises(UsageError, match="shuffle is 'some'"):
        Order(5, shuffle=some)
    with pytest.raises(UsageError, match="batch_size is 0"):
        Share(5, 0)
    with pytest.raises(UsageError, match="rank 2 of 2"):
        Share(5, 1, 2, 2)
