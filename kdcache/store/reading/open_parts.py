"""Which parts are open now: the ones used last. Who reads part by part needs one; who goes back and forth finds it checked."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from kdcache.store.plan import PartId
from kdcache.store.reading.part import MappedPart

MOST_PARTS = 4
"""Few, as the blocks of a compressed part stay decompressed while it is open."""


class OpenParts:
    """Parts by id, oldest dropped first."""

    def __init__(self) -> None:
        self._open: OrderedDict[PartId, MappedPart] = OrderedDict()
        self._lock = Lock()

    def get(self, part: PartId, make: Callable[[PartId], MappedPart]) -> MappedPart:
        """A part that is open, or is opened now."""
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
        """Drop what is known about a part that is about to change."""
        with self._lock:
            self._open.pop(part, None)
