"""A cache that is open for reading: its mapped views, the codecs of its signals, the buffers of its streams.

Input: a store. Output: what is needed to stream, or to read one image. Streams over one or several caches all use this.
It pickles as the path of its store; every process has its own maps and buffers.
"""

import os
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Any

from kdcache.codecs.codec import Codec
from kdcache.errors import UsageError
from kdcache.store import Store
from kdcache.stream.batch import Context
from kdcache.stream.order import runs_of
from kdcache.stream.ring import Rings
from kdcache.stream.shelf import Shelf

SHELVES = 2
"""Number of views that stay mapped after use."""


class UnknownSignal(UsageError, KeyError):
    """The cache has no signal of that name."""

    def __str__(self) -> str:
        return self.message


class _Mapped:
    """What one process has open: mapped views of a cache, and buffers of streams.

    A forked process makes a new one, because another thread may have held one of its locks during the fork.
    """

    def __init__(self) -> None:
        self.rings = Rings()
        self._lock = Lock()
        self._shelves: OrderedDict[tuple[int, bool], Shelf] = OrderedDict()

    def shelf(self, store: Store, view: int, check: bool) -> Shelf:
        """A view that any number of threads can read. The most recently used views are kept."""
        with self._lock:
            key = (view, check)
            if key not in self._shelves:
                self._shelves[key] = Shelf(store, view, check=check)
            self._shelves.move_to_end(key)
            while len(self._shelves) > SHELVES:
                self._shelves.popitem(last=False)
            return self._shelves[key]


class Reader:
    """One cache, open for reading."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._mapped: dict[int, _Mapped] = {}

    def __reduce__(self) -> tuple[type["Reader"], tuple[Store]]:
        return Reader, (self.store,)

    @property
    def _here(self) -> _Mapped:
        """The open views and buffers of this process."""
        process = os.getpid()
        mapped = self._mapped.get(process)
        return self._mapped.setdefault(process, _Mapped()) if mapped is None else mapped

    def shelf(self, view: int, *, check: bool = True) -> Shelf:
        """A view that can be read; UsageError if the cache has no such view."""
        return self._here.shelf(self.store, self.view(view), check)

    def context(self, view: int, signals: Sequence[str] | None, *, check: bool = True) -> Context:
        """What batches of one view have in common; None for `signals` means all."""
        return Context(self.shelf(view, check=check), self.codecs(signals), self._here.rings)

    def runs(self) -> tuple[int, int]:
        """Run and window size of a shuffle by blocks. They do not depend on which signals are read, so neither does the order."""
        row_bytes = sum(field.row_bytes for field in self.store.fields.values() if not field.per_part)
        return runs_of(row_bytes, max(self.store.plan.layout.block_rows.values()))

    def view(self, view: int) -> int:
        """Return the number of a view; UsageError if the cache has no such view."""
        views = self.store.plan.views.count
        if not 0 <= view < views:
            hint = f"views count from 0: it has {'0' if views == 1 else f'0 to {views - 1}'}"
            raise UsageError(f"no view {view} in {self.store.place}: it has {views}", hint=hint)
        return view

    def views(self, views: Sequence[int] | None) -> list[int]:
        """The views to read in turn; None means all."""
        if isinstance(views, int):
            raise UsageError(f"views is {views}, not a list of views", hint=f"views=[{views}]")
        wanted = [self.view(view) for view in (range(self.store.plan.views.count) if views is None else views)]
        if not wanted:
            raise UsageError("views is empty", hint="leave it out to use all")
        return wanted

    def codecs(self, signals: Sequence[str] | None) -> dict[str, Codec]:
        """Signal name -> codec; None means all signals."""
        codecs: dict[str, Any] = self.store.plan.codecs()
        if isinstance(signals, str):
            raise UsageError(f"signals is {signals!r}, not a list of signals", hint=f"signals=[{signals!r}]")
        unknown = [name for name in signals or () if name not in codecs]
        if unknown:
            raise UnknownSignal(f"no signal {unknown[0]!r} in {self.store.place}", hint=f"it has {', '.join(codecs)}")
        return {name: codecs[name] for name in (codecs if signals is None else signals)}
