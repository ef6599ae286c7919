"""Replay: render views again and compare them with the digests of the pixels that the teacher was shown."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kdcache.base.digest import pixel_digest
from kdcache.errors import BadImage
from kdcache.views.mix import Ids, view_pixels
from kdcache.views.recipe import Augment, Plain

Digests = Sequence[int] | NDArray[np.uint32]
UNREADABLE = 0
"""The digest of a row whose image cannot be read."""


class DriftedRow(NamedTuple):
    """A row that no longer renders to the same pixels."""

    row: int
    expected: int
    got: int


def replay(
    recipe: Plain | Augment,
    *,
    seed: int,
    view: int,
    rows: Sequence[int],
    size: tuple[int, int],
    ids: Ids,
    load: Callable[[str], NDArray[np.uint8]],
    expected: Digests,
) -> list[DriftedRow]:
    """Render rows again, and return those whose pixels differ from the expected digests.

    A row that was and is unreadable counts as equal; a row that was readable and no longer is, or the reverse, as different.
    """
    got = [_digest(recipe, seed=seed, view=view, row=row, size=size, ids=ids, load=load) for row in rows]
    return drifts(rows, expected, got)


def drifts(rows: Sequence[int], expected: Digests, got: Digests) -> list[DriftedRow]:
    """Compare expected and new digests of rows, and return the rows that differ."""
    paired = zip(rows, map(int, expected), map(int, got), strict=True)
    return [DriftedRow(*values) for values in paired if values[1] != values[2]]


def _digest(
    recipe: Plain | Augment,
    *,
    seed: int,
    view: int,
    row: int,
    size: tuple[int, int],
    ids: Ids,
    load: Callable[[str], NDArray[np.uint8]],
) -> int:
    try:
        return pixel_digest(view_pixels(recipe, seed=seed, view=view, row=row, size=size, ids=ids, load=load))
    except BadImage:
        return UNREADABLE
