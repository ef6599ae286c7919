"""The order of examples in an epoch, and the share of it that each process gets.

Input: the examples (rows, or items of rows: see examples.py), rejected rows, seed, epoch, shuffle. Output: example numbers for
any range of positions, so that an epoch can be resumed anywhere, and the row of each. Without items an example is its row.
The order does not depend on the number of processes, workers or threads.

Six rows, of which row 3 is rejected, with seed 7:

    position     0  1  2  3  4      in the epoch; all arrays are int64 with one axis, position
    place        0  2  1  4  3      shuffled(5, …): number among the usable examples
    example      0  2  1  5  4      places from 3 on are shifted by the rejected row 3
    row          0  2  1  5  4      the same as the example, because there are no items

With batch 1 and two processes, global batches are positions 0-1, 2-3 and 4: rank 0 gets 0, 2 and none; rank 1 gets 1, 3 and 4.

    >>> order = Order(6, seed=7, rejected=np.array([3]))
    >>> order.slice(0, 5).tolist()
    [0, 2, 1, 5, 4]
    >>> [[Share(5, 1, rank, world=2).span(number) for number in range(3)] for rank in range(2)]    # [first, after last)
    [[(0, 1), (2, 3), (4, 4)], [(1, 2), (3, 4), (4, 5)]]
"""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kdcache.base.lazy import lazy
from kdcache.errors import UsageError
from kdcache.stream.examples import Examples, Rows

WINDOW_BYTES, WINDOW_ROWS, RUNS = 64 << 20, 1 << 15, 64
"""A window of a shuffle by blocks has 64 runs, and at most this many bytes and rows (enough to mix a batch well)."""

Shuffle = Literal["full", "blocks", False]

_WORD = 1 << 64
_ROWS, _RUNS, _WINDOW = 0x0D0E_0001, 0x0D0E_0002, 0x0D0E_0003
"""Purposes of random permutations: part of the counter, so that they differ."""


def shuffled(count: int, seed: int, epoch: int, purpose: int, part: int = 0) -> Rows:
    """A random permutation of range(count), the same on every machine.

    Numpy promises that the raw words of Philox and every stream of RandomState never change (NEP 19). Its shuffle takes
    a quarter of the time that sorting random words takes.
    """
    key = np.array([seed % _WORD, epoch % _WORD], np.uint64)
    counter = np.array([0, 0, part, purpose], np.uint64)
    rows = np.arange(count, dtype=np.int64)
    np.random.RandomState(np.random.Philox(key=key, counter=counter)).shuffle(rows)
    return rows


def runs_of(row_bytes: int, block_rows: int) -> tuple[int, int]:
    """Rows per run (whole blocks) and runs per window, for rows of this size."""
    window = min(WINDOW_ROWS, max(1, WINDOW_BYTES // row_bytes))
    run = -(-max(1, window // RUNS) // block_rows) * block_rows
    return run, max(2, window // run)


def view_of(epoch: int, views: Sequence[int]) -> int:
    """The stored view that an epoch reads; every view is read once before any is read again.

    An epoch reads one view, because a part holds one view: mixing views would read a few rows of every part of every view.
    Views are drawn independently, so mixing them would not make an epoch more random.
    """
    return views[epoch % len(views)]


class Order:
    """The order of usable examples in one epoch, computed slice by slice.

    `full` is a permutation of all examples. `blocks` shuffles runs of neighbours (usually the examples of `run` rows) and mixes
    the examples of `window` runs, so that the disk reads runs, not rows. Examples of rejected rows are left out. If `examples`
    is a number of rows, the examples are the rows.
    """

    def __init__(
        self,
        examples: Examples | int,
        *,
        seed: int = 0,
        epoch: int = 0,
        shuffle: Shuffle = "full",
        rejected: Rows | None = None,
        run: int = 1,
        window: int = 1,
    ) -> None:
        if shuffle not in ("full", "blocks", False):
            raise UsageError(f"shuffle is {shuffle!r}", hint='give "full", "blocks" or False')
        self.examples = examples if isinstance(examples, Examples) else Examples(examples)
        bad = self.examples.of_rows(np.unique(rejected)) if rejected is not None else np.zeros(0, np.int64)
        self.seed, self.epoch, self.shuffle = seed, epoch, shuffle
        self.run, self.runs = run * self.examples.each, window
        self.count = len(self.examples) - len(bad)
        self._bad_before = bad.astype(np.int64) - np.arange(len(bad))
        self._last_window: tuple[int, Rows] | None = None
        self._lock = Lock()

    def __len__(self) -> int:
        return self.count

    def slice(self, first: int, last: int) -> Rows:
        """Example numbers at positions first … last - 1; without items these are row numbers."""
        with self._lock:
            return self._skip_rejected(self._places(first, min(last, self.count)))

    def rows_of(self, examples: Rows) -> Rows:
        """Row of each example; without items the given array itself is returned."""
        return self.examples.rows_of(examples)

    def lookahead(self, position: int) -> int:
        """The position where the window of `position` ends. Without windows, the position itself."""
        if self.shuffle != "blocks" or position >= self.count:
            return position
        return self._window_start(self._window_of(position) + 1)

    def window(self, position: int) -> tuple[Rows, Rows]:
        """Ascending spans (first, one past last) of the rows that are mixed at `position` of a shuffle by blocks."""
        number = self._window_of(position)
        runs = np.sort(self._run_order[number * self.runs : (number + 1) * self.runs])
        first = self._skip_rejected(runs * self.run)
        last = self._skip_rejected(np.minimum((runs + 1) * self.run, self.count) - 1) + 1
        return self._row_spans(first, last) if self.examples.has_items else (first, last)

    def _row_spans(self, first: Rows, last: Rows) -> tuple[Rows, Rows]:
        """Convert ascending spans of examples to spans of rows. A row with items in two spans is in the first one."""
        first, last = self.rows_of(first), self.rows_of(last - 1) + 1
        first[1:] = np.maximum(first[1:], last[:-1])
        some = first < last
        return first[some], last[some]

    def _places(self, first: int, last: int) -> Rows:
        if self.shuffle == "full":
            return self._permutation[first:last]
        if self.shuffle == "blocks":
            return self._from_windows(first, last)
        return np.arange(first, last, dtype=np.int64)

    def _skip_rejected(self, places: Rows) -> Rows:
        """Convert places among usable examples to example numbers, by adding the number of rejected examples before each."""
        if not len(self._bad_before):
            return places
        skipped: Rows = places + np.searchsorted(self._bad_before, places, side="right")
        return skipped

    @lazy
    def _permutation(self) -> Rows:
        return shuffled(self.count, self.seed, self.epoch, _ROWS)

    @lazy
    def _run_order(self) -> Rows:
        return shuffled(-(-self.count // self.run), self.seed, self.epoch, _RUNS)

    @lazy
    def _short(self) -> tuple[int, int]:
        """Number of the window that contains the last run, and by how many rows that run is shorter than the others."""
        runs = len(self._run_order)
        place = int(np.flatnonzero(self._run_order == runs - 1)[0])
        return place // self.runs, runs * self.run - self.count

    def _window_start(self, window: int) -> int:
        holder, lacks = self._short
        return min(self.count, window * self.runs * self.run - (lacks if window > holder else 0))

    def _window_of(self, position: int) -> int:
        holder, lacks = self._short
        behind = position >= self._window_start(holder + 1)
        return (position + (lacks if behind else 0)) // (self.runs * self.run)

    def _from_windows(self, first: int, last: int) -> Rows:
        pieces = [np.zeros(0, np.int64)]
        while first < last:
            window = self._window_of(first)
            start, end = self._window_start(window), self._window_start(window + 1)
            stop = min(last, end)
            pieces.append(self._window_rows(window)[first - start : stop - start])
            first = stop
        return np.concatenate(pieces)

    def _window_rows(self, window: int) -> Rows:
        if self._last_window and self._last_window[0] == window:
            return self._last_window[1]
        runs = self._run_order[window * self.runs : (window + 1) * self.runs]
        rows = (runs[:, None] * self.run + np.arange(self.run)).ravel()
        rows = rows[rows < self.count]
        rows = rows[shuffled(len(rows), self.seed, self.epoch, _WINDOW, window)]
        self._last_window = (window, rows)
        return rows


@dataclass(frozen=True)
class Share:
    """The part of each global batch that one of `world` processes gets.

    A global batch has `batch` examples for each process. The last, smaller one is left out (`drop_last`) or divided evenly, so
    that all processes take the same number of steps; if fewer examples than processes are left, some get none.
    """

    total: int
    batch: int
    rank: int = 0
    world: int = 1
    drop_last: bool = False

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise UsageError(f"batch_size is {self.batch}", hint="give at least 1")
        if not 0 <= self.rank < self.world:
            raise UsageError(f"rank {self.rank} of {self.world} processes", hint="ranks count from 0 to world - 1")

    def __len__(self) -> int:
        whole, rest = divmod(self.total, self.batch * self.world)
        return whole + (1 if rest and not self.drop_last else 0)

    def span(self, number: int) -> tuple[int, int]:
        """First and one-past-last position of this process in global batch `number`."""
        start = number * self.batch * self.world
        size = min(self.batch * self.world, self.total - start)
        return start + size * self.rank // self.world, start + size * (self.rank + 1) // self.world

    def own(self, first: int, last: int) -> NDArray[np.bool_]:
        """Mask of those positions first … last - 1 (of whole global batches) that belong to this process."""
        own: NDArray[np.bool_] = np.arange(first, last) // self.batch % self.world == self.rank
        return own
