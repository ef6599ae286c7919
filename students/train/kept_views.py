"""Views that were rendered once, kept in memory for the epochs that follow.

To decode and resize a photo often takes longer than to train a small student on it. Input: the pieces of an epoch, and a pool
that renders. Output: the views of each piece; only those that are not kept yet are rendered.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kdcache.render import Rendered, RenderPool
from students.train.images import Rows

Pixels = NDArray[np.uint8]
SHARE = 4
"""One in how many bytes of free memory views may take if the user sets no limit."""


def memory_for_views(asked: int | None) -> int:
    """Bytes that views may take: `asked`, or a quarter of the memory that is free now."""
    if asked is not None:
        return asked
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // SHARE
    except (ValueError, OSError):  # a system that does not tell
        return 0


class Seen(NamedTuple):
    """The views of a piece."""

    pixels: Pixels
    """uint8 (rows, height, width, 3)."""
    bad: dict[int, str]
    """Rows whose image cannot be read -> the reason; their pixels are black."""


class KeptViews:
    """Views of the first `count` rows, where `count` is as large as the memory allows."""

    def __init__(self, rows: int, views: Sequence[int], size: tuple[int, int], memory: int) -> None:
        """`views`: the numbers of all views that will be asked for."""
        each = len(views) * size[0] * size[1] * 3
        self.count = min(rows, memory // each)
        self._places = {view: place for place, view in enumerate(views)}
        # Pages of an empty array take memory only once they are written.
        self._pixels = np.empty((len(views), self.count, *size, 3), np.uint8)
        self._there = np.zeros((len(views), self.count), np.bool_)

    def absent(self, view: int, rows: Rows) -> list[int]:
        """The rows whose view is not kept, without repetition, in their order."""
        inside = rows < self.count
        known = np.zeros(len(rows), np.bool_)
        known[inside] = self._there[self._places[view], rows[inside]]
        return list(dict.fromkeys(rows[~known].tolist()))

    def keep(self, view: int, rows: Rows, pixels: Pixels) -> None:
        """Keep the views of these rows as far as there is room."""
        inside = rows < self.count
        self._pixels[self._places[view], rows[inside]] = pixels[inside]
        self._there[self._places[view], rows[inside]] = True

    def taken(self, view: int, rows: Rows) -> Pixels:
        """A copy of the views of these rows; those of rows that are not kept are undefined."""
        if not self.count:
            return np.empty((len(rows), *self._pixels.shape[2:]), np.uint8)
        views: Pixels = self._pixels[self._places[view]].take(rows, axis=0, mode="clip")
        return views


def rendered(pool: RenderPool, pieces: Iterable[tuple[int, Rows]]) -> Iterator[Seen]:
    """The views of (view, rows) pieces, all of them rendered. Pixels hold until the next piece is drawn."""
    coming = deque[int]()

    def requests() -> Iterator[tuple[int, list[int]]]:
        for view, rows in pieces:
            coming.append(len(rows))
            yield view, rows.tolist()

    for batch in pool.batches(requests()):
        yield Seen(batch.pixels[: coming.popleft()], batch.bad)


class _Wanted(NamedTuple):
    """A piece, and its rows that must be rendered."""

    view: int
    rows: Rows
    absent: list[int]


def rendered_once(pool: RenderPool, pieces: Iterable[tuple[int, Rows]], kept: KeptViews) -> Iterator[Seen]:
    """The views of (view, rows) pieces; those that are kept are not rendered again."""
    coming = deque[_Wanted]()

    def requests() -> Iterator[tuple[int, list[int]]]:
        for view, rows in pieces:
            coming.append(_Wanted(view, rows, kept.absent(view, rows)))
            if coming[-1].absent:
                yield view, coming[-1].absent

    for batch in pool.batches(requests()):
        yield from _kept_pieces(coming, kept)
        yield _joined(coming.popleft(), batch, kept)
    yield from _kept_pieces(coming, kept)


def _kept_pieces(coming: deque[_Wanted], kept: KeptViews) -> Iterator[Seen]:
    """The pieces before the next one that is rendered."""
    while coming and not coming[0].absent:
        piece = coming.popleft()
        yield Seen(kept.taken(piece.view, piece.rows), {})


def _joined(piece: _Wanted, batch: Rendered, kept: KeptViews) -> Seen:
    """The views of a piece, some of which were rendered just now; these are kept, except black ones of unreadable images."""
    good = np.array([place for place, row in enumerate(piece.absent) if row not in batch.bad], np.int64)
    kept.keep(piece.view, np.array(piece.absent, np.int64)[good], batch.pixels[good])
    pixels = kept.taken(piece.view, piece.rows)
    places = {row: place for place, row in enumerate(piece.absent)}
    for at, row in enumerate(piece.rows.tolist()):
        if row in places:
            pixels[at] = batch.pixels[places[row]]
    return Seen(pixels, batch.bad)
