"""Read several caches of the same images as one: `join([a, b]).stream(…)`.

Input: caches, which may differ in teacher, signals, backend and parts. Output: batches in one order, joined by image id. Rows,
ids, labels and the order are those of the first cache. The address of a signal is its name if only one cache has a signal of
that name; `NAME.signal` works for every cache to which the caller gives the name NAME. Images that cannot be used in one of the
caches are left out of all.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from kdcache.codecs.codec import Codec
from kdcache.errors import Mismatch, UsageError
from kdcache.store.plan import Plan
from kdcache.stream.elsewhere import Elsewhere
from kdcache.stream.examples import Examples, Rows, examples_of
from kdcache.stream.flow import Stream
from kdcache.stream.joined_stream import JoinedStream
from kdcache.stream.order import Order, Share, Shuffle, view_of
from kdcache.stream.reader import Reader, UnknownSignal
from kdcache.stream.same_rows import rows_in
from kdcache.stream.same_views import expect_same_views, expect_whole_views


class Readable(Protocol):
    """A cache that can be joined."""

    @property
    def path(self) -> Path:
        """Folder of the cache."""

    @property
    def reader(self) -> Reader:
        """The cache, open for reading."""


class Address(NamedTuple):
    """The cache and the name of a signal in joined caches."""

    cache: str
    """Name of the cache among those that are joined."""
    signal: str
    """Name of the signal in that cache."""


def join(caches: Sequence[Readable] | Mapping[str, Readable], *, same_views: bool = True) -> "Joined":
    """Join caches of the same images. Mismatch, which names both caches, if their images or views differ.

    Names are needed if two caches have a signal of the same name: `join({"clip": a, "dino": b})`. With `same_views=False` the
    teachers may have been shown different views, such as plain views with their own sizes and crops; the caller then decides
    what a student is shown.
    """
    named = dict(caches) if isinstance(caches, Mapping) else _named(caches)
    if not named:
        raise UsageError("there are no caches to join", hint="give at least one")
    joined = Joined({name: cache.reader for name, cache in named.items()}, has_names=isinstance(caches, Mapping))
    joined.expect_same(same_views=same_views)
    return joined


def _named(caches: Sequence[Readable]) -> dict[str, Readable]:
    """Name caches by their position, if the caller did not name them."""
    return {str(number): cache for number, cache in enumerate(caches)}


class Joined:
    """Caches of the same images that are read as one. Made by `join`."""

    def __init__(self, readers: Mapping[str, Reader], *, has_names: bool) -> None:
        self.readers = dict(readers)
        """The caches by name; the first one determines rows and order."""
        self.signals = _addresses(self.readers, has_names=has_names)
        """Address of each signal -> its cache and its name there."""
        self._has_names = has_names
        self._first = next(iter(self.readers.values()))
        self._rows: dict[str, Rows | None] = {}
        self._whole: set[int] = set()

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (self.readers, self._has_names, self._rows)

    def __len__(self) -> int:
        return self.plan.dataset.rows

    def __repr__(self) -> str:
        paths = ", ".join(str(reader.store.place) for reader in self.readers.values())
        return f"<Joined {paths}: {len(self):,} images, {', '.join(self.signals)}>"

    @property
    def ids(self) -> Sequence[str]:
        """Image ids in the row order of the first cache."""
        return self._first.store.index.ids

    @property
    def plan(self) -> Plan:
        """The plan of the first cache, whose images and views a student can be shown."""
        return self._first.store.plan

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Class names of the first cache, in order of class number."""
        return self.plan.dataset.classes

    @property
    def labels(self) -> NDArray[np.int32] | None:
        """Class numbers of the rows in the first cache; None if it has no labels."""
        return self._first.store.index.labels

    def codecs(self) -> dict[str, Codec]:
        """Address of each signal -> its codec."""
        codecs = {name: reader.codecs(None) for name, reader in self.readers.items()}
        return {address: codecs[place.cache][place.signal] for address, place in self.signals.items()}

    def rows_of(self, name: str, rows: Rows) -> Rows:
        """Convert rows of the first cache to rows of another; the given array itself if the rows are the same."""
        mapped = self._rows[name]
        return rows if mapped is None else mapped[rows]

    def rejected(self, view: int) -> Rows:
        """Rows whose image could not be used in this view of at least one of the caches."""
        self._expect_whole([view])
        bad = np.zeros(len(self), np.bool_)
        for name, reader in self.readers.items():
            here = np.zeros(len(self), np.bool_)
            here[reader.shelf(view).rejected()] = True
            mapped = self._rows[name]
            bad |= here if mapped is None else here[mapped]
        return np.flatnonzero(bad)

    def stream(
        self,
        batch_size: int = 256,
        *,
        shuffle: Shuffle = "full",
        seed: int = 0,
        epoch: int = 0,
        views: Sequence[int] | None = None,
        signals: Sequence[str] | None = None,
        rank: int = 0,
        world: int = 1,
        start: int = 0,
        drop_last: bool = False,
        check: bool = True,
        pin: bool = False,
        threads: int = 2,
        examples: Examples | None = None,
    ) -> JoinedStream:
        """Iterate over the batches of one epoch for one process, in the order of the first cache; `signals` are addresses."""
        wanted = self._views(views)
        view = view_of(epoch, wanted)
        self._expect_whole(wanted)
        run, window = self._first.runs()
        order = Order(
            examples_of(self._first.store.place, len(self), examples),
            seed=seed,
            epoch=epoch,
            shuffle=shuffle,
            rejected=self.rejected(view),
            run=run,
            window=window,
        )
        share = Share(len(order), batch_size, rank, world, drop_last)
        streams = {}
        chosen = self._chosen(signals)
        for name in dict.fromkeys(place.cache for place in chosen.values()) or [next(iter(self.readers))]:
            mine = [place.signal for place in chosen.values() if place.cache == name]
            context = self.readers[name].context(view, mine, check=check)
            streams[name] = Stream(context, self._in(name, order), share, start=start, pin=pin, threads=threads)
        return JoinedStream(streams, chosen, order, share, self._first.store.index, view=view, start=start)

    def _in(self, name: str, order: Order) -> Order:
        rows = self._rows[name]
        return order if rows is None else Elsewhere(order, rows)

    def _chosen(self, signals: Sequence[str] | None) -> dict[str, Address]:
        if isinstance(signals, str):
            raise UsageError(f"signals is {signals!r}, not a list of signals", hint=f"signals=[{signals!r}]")
        return {address: self._find(address) for address in (self.signals if signals is None else signals)}

    def _find(self, address: str) -> Address:
        """Where a signal is; `NAME.signal` may also be written where the name of the signal is enough."""
        if address in self.signals:
            return self.signals[address]
        for place in self.signals.values() if self._has_names else ():
            if address == f"{place.cache}.{place.signal}":
                return place
        known = ", ".join(self.signals)
        raise UnknownSignal(f"no signal {address!r} in the caches that are joined", hint=f"they have {known}")

    def _views(self, views: Sequence[int] | None) -> list[int]:
        """The views to read in turn; for None all views, which all caches must have."""
        counts = {name: reader.store.plan.views.count for name, reader in self.readers.items()}
        if views is None and len(set(counts.values())) > 1:
            fewest, most = min(counts, key=lambda name: counts[name]), max(counts, key=lambda name: counts[name])
            less, more = self.readers[fewest].store.place, self.readers[most].store.place
            message = f"{less} has {counts[fewest]} views, {more} has {counts[most]}"
            raise Mismatch(message, hint=f"name those to read: views={list(range(counts[fewest]))}")
        for reader in self.readers.values():
            wanted = reader.views(views)
        return wanted

    def _expect_whole(self, views: Sequence[int]) -> None:
        """Mismatch if a view is incomplete in one of the caches."""
        if self._whole.issuperset(views):
            return
        expect_whole_views([reader.store for reader in self.readers.values()], views)
        self._whole.update(views)

    def expect_same(self, *, same_views: bool) -> None:
        """Match the rows of all caches; Mismatch, naming both caches, if images or views differ from those of the first."""
        ours = self._first.store
        for name, reader in self.readers.items():
            theirs = reader.store
            names = (str(ours.path), str(theirs.path))
            self._rows[name] = None if theirs is ours else rows_in(ours.index, theirs.index, names=names)
        if same_views:
            self.expect_same_views()

    def expect_same_views(self) -> None:
        """Mismatch, both named, where the teachers cannot have seen the same pixels of the same files."""
        for name, reader in self.readers.items():
            if reader is not self._first:
                expect_same_views(self._first.store, reader.store, self._rows[name])


def _addresses(readers: Mapping[str, Reader], *, has_names: bool) -> dict[str, Address]:
    """Addresses of all signals: the name if only one cache has it, else with the cache's name before it."""
    holders: dict[str, list[str]] = {}
    for name, reader in readers.items():
        for stored in reader.store.plan.signals:
            holders.setdefault(stored.signal.name, []).append(name)
    addresses: dict[str, Address] = {}
    for signal, names in holders.items():
        paths = [str(readers[name].store.place) for name in names]
        if len(names) > 1 and not has_names:
            hint = 'name the caches, and the signals are called NAME.SIGNAL: join({"one": …, "other": …})'
            raise UsageError(f"{paths[0]} and {paths[1]} both have a signal called {signal!r}", hint=hint)
        for name in names:
            address = signal if len(names) == 1 else f"{name}.{signal}"
            if address in addresses:
                first = readers[addresses[address].cache].store.place
                message = f"signals of {first} and {readers[name].store.place} would both be called {address!r}"
                raise UsageError(message, hint="give the caches other names")
            addresses[address] = Address(name, signal)
    return addresses


def _again(readers: Mapping[str, Reader], has_names: bool, rows: dict[str, Rows | None]) -> Joined:
    """Make joined caches again in another process, with the rows that are matched already."""
    joined = Joined(readers, has_names=has_names)
    joined._rows = rows
    return joined
