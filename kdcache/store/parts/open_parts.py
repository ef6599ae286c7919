"""Which parts are mapped now: the most recently used ones, within what the process may keep open."""

import resource
from collections import OrderedDict
from pathlib import Path
from threading import Lock

from kdcache.codecs.codec import Field
from kdcache.store.parts.mapped import MappedPart, Touched
from kdcache.store.parts.receipt import Receipt
from kdcache.store.plan import PartId, Plan

MOST_FILES = 4096


class Maps:
    """Mapped parts by id, oldest dropped first; which blocks were found right is remembered for all."""

    def __init__(self, cache: Path, plan: Plan, fields: dict[str, Field]) -> None:
        self._cache, self._plan, self._fields = cache, plan, fields
        self._open: OrderedDict[PartId, MappedPart] = OrderedDict()
        self._touched: dict[PartId, dict[str, Touched]] = {}
        self._lock = Lock()
        # Every map holds a descriptor; half of what the process may open is left to others.
        files = min(MOST_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        self._most = max(1, files // (len(fields) if plan.layout.backend == "zarr" else 1))

    def get(self, part: PartId) -> MappedPart | None:
        """A part that is mapped already."""
        with self._lock:
            mapped = self._open.get(part)
            if mapped is not None:
                self._open.move_to_end(part)
            return mapped

    def add(self, part: PartId, receipt: Receipt) -> MappedPart:
        """Map a part."""
        with self._lock:
            if part not in self._touched:
                self._touched[part] = {name: Touched(seal) for name, seal in receipt.fields.items()}
            mapped = MappedPart(receipt, self._plan.layout, self._fields, self._touched[part], self._cache)
            self._open[part] = mapped
            while len(self._open) > self._most:
                self._open.popitem(last=False)
            return mapped

    def forget(self, part: PartId) -> None:
        """Drop what is known about a part that is about to change."""
        with self._lock:
            self._open.pop(part, None)
            self._touched.pop(part, None)
