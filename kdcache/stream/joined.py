"""Several caches of the same images as one: `join([a, b]).stream(…)`.

Input: caches, each with a teacher, signals, a backend and parts of its own. Output: batches in one order, joined by image id.
The first cache decides: rows, ids, labels and the order are its own. A signal is addressed by its name where only one of the
caches has one of that name, and by `NAME.signal` wherever the caller calls a cache NAME. Images that cannot be used in one of
the caches are left out of all.
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
    """What can be joined: a `Cache`."""

    @property
    def path(self) -> Path:
        """Its folder."""

    @property
    def reader(self) -> Reader:
        """The same, open for reading."""


class Address(NamedTuple):
    """Where a signal of joined caches is."""

    cache: str
    """Name of the cache among those that are joined."""
    signal: str
    """Name of the signal in that cache."""


def join(caches: Sequence[Readable] | Mapping[str, Readable], *, same_views: bool = True) -> "Joined":
    """Join caches of the same images. Mismatch, both named, where their images, or the views of them, are not the same.

    Names are needed where two caches have a signal of the same name: `join({"clip": a, "dino": b})`. With `same_views=False` each
    teacher may have seen the images in its own way, as teachers with plain views of their own sizes and cuts do; what a student
    is shown is then up to the caller.
    """
    named = dict(caches) if isinstance(caches, Mapping) else _named(caches)
    if not named:
        raise UsageError("there are no caches to join", hint="give at least one")
    joined = Joined({name: cache.reader for name, cache in named.items()}, has_names=isinstance(caches, Mapping))
    joined.expect_same(same_views=same_views)
    return joined


def _named(caches: Sequence[Readable]) -> dict[str, Readable]:
    """Caches by their number, for those that the caller did not name."""
    return {str(number): cache for number, cache in enumerate(caches)}


class Joined:
    """Caches of the same images, read as one. Made by `join`."""

    def __init__(self, readers: Mapping[str, Reader], *, has_names: bool) -> None:
        self.readers = dict(readers)
        """The caches by name, the first of which decides on rows and order."""
        self.signals = _addresses(self.readers, has_names=has_names)
        """Address of each signal -> the cache it is in and its name there."""
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
        """Image ids in row order, which is that of the first cache."""
        return self._first.store.index.ids

    @property
    def plan(self) -> Plan:
        """The plan of the first cache: its images, and the views of them that a student can be shown."""
        return self._first.store.plan

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Class names by number, as the first cache has them."""
        return self.plan.dataset.classes

    @property
    def labels(self) -> NDArray[np.int32] | None:
        """Class number a row, as the first cache has them; None when it has none."""
        return self._first.store.index.labels

    def codecs(self) -> dict[str, Codec]:
        """Address of each signal -> its codec."""
        codecs = {name: reader.codecs(None) for name, reader in self.readers.items()}
        return {address: codecs[place.cache][place.signal] for address, place in self.signals.items()}

    def rows_of(self, name: str, rows: Rows) -> Rows:
        """The rows that a cache has for rows of the first; where they are the same, the very array that was given."""
        mapped = self._rows[name]
        return rows if mapped is None else mapped[rows]

    def rejected(self, view: int) -> Rows:
        """Rows whose image could not be used in a view of any of the caches."""
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
        """The batches of one epoch for one process, as `Cache.stream` of the first cache gives them; `signals` are addresses."""
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
        """The views to read in turn. All when none are named, where all caches have as many."""
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
        """Mismatch, naming a cache that has a view and one that has not all of it."""
        if self._whole.issuperset(views):
            return
        expect_whole_views([reader.store for reader in self.readers.values()], views)
        self._whole.update(views)

    def expect_same(self, *, same_views: bool) -> None:
        """Find the rows of every cache; Mismatch, both named, where the images, or their views, are not those of the first."""
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
    """How each signal is called: by its name where only one cache has it, else by that of its cache too."""
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
    """A joined cache in another process, its rows matched already."""
    joined = Joined(readers, has_names=has_names)
    joined._rows = rows
    return joined
