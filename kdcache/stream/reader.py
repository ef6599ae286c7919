"""A cache that is open for reading: its views mapped as they are needed, the codecs of its signals, the buffers of its streams.

Input: a store. Output: what a stream, or a look at one image, is made from. Whoever streams from one cache or from several goes
through here. Pickles as the path of its store; every process has maps and buffers of its own.
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
"""Number of views that stay mapped when nobody reads them."""


class UnknownSignal(UsageError, KeyError):
    """A cache does not hold that signal."""

    def __str__(self) -> str:
        return self.message


class _Mapped:
    """What one process has open of a cache: views that are mapped, and buffers of streams.

    A forked process makes its own, as another thread may have held a lock of these when it forked.
    """

    def __init__(self) -> None:
        self.rings = Rings()
        self._lock = Lock()
        self._shelves: OrderedDict[tuple[int, bool], Shelf] = OrderedDict()

    def shelf(self, store: Store, view: int, check: bool) -> Shelf:
        """A view ready to be read, by any number of threads. The ones used last are kept."""
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
        """What this process has open."""
        process = os.getpid()
        mapped = self._mapped.get(process)
        return self._mapped.setdefault(process, _Mapped()) if mapped is None else mapped

    def shelf(self, view: int, *, check: bool = True) -> Shelf:
        """A view ready to be read; UsageError where the cache has no such view."""
        return self._here.shelf(self.store, self.view(view), check)

    def context(self, view: int, signals: Sequence[str] | None, *, check: bool = True) -> Context:
        """What the batches of one view share; all signals when none are named."""
        return Context(self.shelf(view, check=check), self.codecs(signals), self._here.rings)

    def runs(self) -> tuple[int, int]:
        """How a shuffle by blocks cuts this cache, whatever signals are read: the order must not depend on them."""
        row_bytes = sum(field.row_bytes for field in self.store.fields.values() if not field.per_part)
        return runs_of(row_bytes, max(self.store.plan.layout.block_rows.values()))

    def view(self, view: int) -> int:
        """The number of a view that there is; UsageError for another."""
        views = self.store.plan.views.count
        if not 0 <= view < views:
            hint = f"views count from 0: it has {'0' if views == 1 else f'0 to {views - 1}'}"
            raise UsageError(f"no view {view} in {self.store.place}: it has {views}", hint=hint)
        return view

    def views(self, views: Sequence[int] | None) -> list[int]:
        """The views to read in turn; all when none are named."""
        if isinstance(views, int):
            raise UsageError(f"views is {views}, not a list of views", hint=f"views=[{views}]")
        wanted = [self.view(view) for view in (range(self.store.plan.views.count) if views is None else views)]
        if not wanted:
            raise UsageError("views is empty", hint="leave it out to use all")
        return wanted

    def codecs(self, signals: Sequence[str] | None) -> dict[str, Codec]:
        """Signal name -> codec; all when none are named."""
        codecs: dict[str, Any] = self.store.plan.codecs()
        if isinstance(signals, str):
            raise UsageError(f"signals is {signals!r}, not a list of signals", hint=f"signals=[{signals!r}]")
        unknown = [name for name in signals or () if name not in codecs]
        if unknown:
            raise UnknownSignal(f"no signal {unknown[0]!r} in {self.store.place}", hint=f"it has {', '.join(codecs)}")
        return {name: codecs[name] for name in (codecs if signals is None else signals)}
