"""Check that ids are unique, and look them up without a dictionary.

Input: ids and, for messages, where each is from. Output: an error that names both places of a duplicate, or a `Lookup`: two
sorted arrays with 16 bytes an id, instead of over a hundred for strings in a dictionary.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from kdcache.base.digest import id_hash
from kdcache.errors import UsageError


class Lookup:
    """Finds the position of an id by its 64-bit hash. The caller must compare the id itself, because hashes can collide."""

    def __init__(self, ids: Iterable[str]) -> None:
        hashes = np.fromiter((id_hash(i) for i in ids), np.uint64)
        self._order = np.argsort(hashes, kind="stable")
        self._sorted = hashes[self._order]

    def __len__(self) -> int:
        return len(self._order)

    def candidates(self, image_id: str) -> Iterator[int]:
        """Positions of ids with the same hash, lowest first: nearly always one or none."""
        wanted = np.uint64(id_hash(image_id))
        first = int(np.searchsorted(self._sorted, wanted, "left"))
        last = int(np.searchsorted(self._sorted, wanted, "right"))
        yield from (int(p) for p in self._order[first:last])

    def twins(self) -> Iterator[tuple[int, int]]:
        """Pairs of positions with equal hashes, which include all duplicates."""
        for place in np.flatnonzero(self._sorted[1:] == self._sorted[:-1]):
            stop = place + 1
            while stop < len(self._sorted) and self._sorted[stop] == self._sorted[place]:
                yield int(self._order[place]), int(self._order[stop])
                stop += 1


def refuse_duplicates(lookup: Lookup, id_at: Callable[[int], str], place: Callable[[int], str], hint: str) -> None:
    """Raise UsageError when an id occurs twice; it names the id and both places."""
    for first, second in lookup.twins():
        if id_at(first) == id_at(second):
            raise UsageError(
                f"image id {id_at(first)!r} is there twice: {place(first)} and {place(second)}",
                hint=hint,
                image_id=id_at(first),
            )
