"""Match the rows of two caches of the same images.

Input: two indexes. Output: an array with the row in the second cache for each row of the first; None if all rows are the same.
Rows are matched by the sorted hashes in each index; then every id is compared, because hashes can collide.
"""

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from kdcache.errors import Mismatch
from kdcache.store.index import CHUNK, Index
from kdcache.stream.examples import Rows

Hashes = NDArray[np.uint64]


def rows_in(ours: Index, theirs: Index, *, names: tuple[str, str]) -> Rows | None:
    """Row in `theirs` of each row of `ours`; None if all are the same. Mismatch, naming both, if the images differ."""
    if _alike(ours, theirs):
        return None
    (hashes, rows), (their_hashes, their_rows) = _sorted(ours), _sorted(theirs)
    if not np.array_equal(hashes, their_hashes):
        raise _other_images(ours, theirs, names)
    matched = np.empty(len(rows), np.int64)
    matched[rows] = their_rows
    _settle_twins(matched, hashes, rows, their_rows, ours, theirs)
    _expect_same_ids(matched, ours, theirs, names)
    return None if np.array_equal(matched, np.arange(len(matched))) else matched


def _alike(ours: Index, theirs: Index) -> bool:
    """Whether both have the same ids in the same order, which is the usual case and quick to check."""
    ids, others = ours.ids.batch.column(0), theirs.ids.batch.column(0)
    return len(ids) == len(others) and bool(ids.equals(others))


def _sorted(index: Index) -> tuple[Hashes, Rows]:
    """All hashes in ascending order, and the row of each. An index with one generation stores them in this order."""
    hashes, rows = index.hashes
    if not index.generations:
        return hashes, rows.astype(np.int64)
    order = np.argsort(hashes, kind="stable")
    return hashes[order], rows[order].astype(np.int64)


def _settle_twins(matched: Rows, hashes: Hashes, rows: Rows, their_rows: Rows, ours: Index, theirs: Index) -> None:
    """Match ids with equal hashes by comparing the ids themselves."""
    twins = np.flatnonzero(hashes[1:] == hashes[:-1])
    places = np.union1d(twins, twins + 1).tolist()
    by_id: dict[str, int] = {theirs.ids[row]: row for row in their_rows[places].tolist()}
    for row in rows[places].tolist():
        matched[row] = by_id.get(ours.ids[row], matched[row])


def _expect_same_ids(matched: Rows, ours: Index, theirs: Index, names: tuple[str, str]) -> None:
    """Mismatch unless the ids of all matched rows are equal."""
    column, others = ours.ids.batch.column(0), theirs.ids.batch.column(0)
    for start in range(0, len(matched), CHUNK):
        paired = others.take(matched[start : start + CHUNK])
        if not pc.all(pc.equal(column.slice(start, CHUNK), paired)).as_py():
            raise _other_images(ours, theirs, names)


def _other_images(ours: Index, theirs: Index, names: tuple[str, str]) -> Mismatch:
    """A Mismatch that names an image that only one of the two has."""
    for (mine, other), (name, other_name) in zip(((ours, theirs), (theirs, ours)), (names, names[::-1]), strict=True):
        if (missing := _only_in(mine, other)) is not None:
            message = f"{names[1]} has other images than {names[0]}: {name} has {missing!r}, {other_name} does not"
            counts = f"{len(ours):,} images there, {len(theirs):,} here"
            return Mismatch(f"{message} ({counts})", hint="join caches that were built from the same images")
    raise AssertionError("both have the same ids")


def _only_in(ours: Index, theirs: Index) -> str | None:
    hashes, rows = ours.hashes
    absent = np.isin(hashes, theirs.hashes[0], invert=True)
    if absent.any():
        return ours.ids[int(rows[absent].min())]
    return next(
        (image_id for image_id in ours.ids if theirs.find(image_id) is None), None
    )  # different ids with equal hashes
