"""Keep the most recently used parts open, so that code that goes back and forth between parts does not check them again."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from kdcache.store.plan import PartId
from kdcache.store.reading.part import MappedPart

MOST_PARTS = 4
"""Most parts kept open. It is small, because the blocks of a compressed part stay decompressed while it is open."""


class OpenParts:
    """Open parts by id; the oldest is closed first."""

    def __init__(self) -> None:
        self._open: OrderedDict[PartId, MappedPart] = OrderedDict()
        self._lock = Lock()

    def get(self, part: PartId, make: Callable[[PartId], MappedPart]) -> MappedPart:
        """Return an open part, opening it with `make` if necessary."""
        with self._lock:
            found = self._open.get(part)
            if found is not None:
                self._open.move_to_end(part)
                return found
        found = make(part)
        with self._lock:
            self._open[part] = found
            while len(self._open) > MOST_PARTS:
                self._open.popitem(last=False)
        return found

    def forget(self, part: PartId) -> None:
        """Close a part that is about to change."""
        with self._lock:
            self._open.pop(part, None)
