"""The public face of a cache: `Cache.open(path)`, `cache["image/id"]`, `cache.stream(...)`.

Opening reads the plan and nothing else. No teacher, no torch, no HDF5 or Zarr library is needed to read.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kdcache.codecs.codec import Codec
from kdcache.errors import BadImage, UsageError
from kdcache.signals.teacher import TeacherSpec
from kdcache.store import Place, Store
from kdcache.store.plan import PartId, Plan
from kdcache.stream import Context, Order, Rings, Share, Shelf, Shuffle, Stream, decode, runs_of, view_of

SHELVES = 2
"""views kept mapped when nobody reads them"""


class UnknownSignal(UsageError, KeyError):
    """A cache does not hold that signal."""

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Said(Mapping[str, Any]):
    """What the teacher said about one view of one image: signal name -> values (for logits a distribution of one row)."""

    image_id: str
    row: int
    view: int
    label: int | None
    """class number; None when it is unknown"""
    signals: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        if name not in self.signals:
            hint = f"it has {', '.join(self.signals)}"
            raise UnknownSignal(f"no signal {name!r} for {self.image_id}", hint=hint)
        return self.signals[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.signals)

    def __len__(self) -> int:
        return len(self.signals)


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


class Cache:
    """What a frozen teacher said about every image of a dataset, read from disk."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._mapped: dict[int, _Mapped] = {}

    @classmethod
    def open(cls, where: Path | str | Place) -> Self:
        """Open a cache, complete or not: a folder, or another place."""
        return cls(Store.open(Path(where) if isinstance(where, str) else where))

    def __reduce__(self) -> tuple[Any, tuple[Place]]:
        return type(self).open, (self._store.place,)

    def __repr__(self) -> str:
        said = ", ".join(f"{s.signal.name} ({s.codec})" for s in self.plan.signals)
        return f"<Cache {self._store.place}: {len(self):,} images, {self.views} views, {said}>"

    @property
    def path(self) -> Path:
        """Its folder; UsageError where it does not lie in one of this machine."""
        return self._store.path

    @property
    def plan(self) -> Plan:
        """Everything about it but the bytes."""
        return self._store.plan

    @property
    def teacher(self) -> TeacherSpec:
        """Who said it."""
        return self.plan.teacher

    @property
    def views(self) -> int:
        """Views stored of each image."""
        return self.plan.views.count

    @property
    def ids(self) -> Sequence[str]:
        """Image ids in row order."""
        return self._store.index.ids

    @property
    def labels(self) -> NDArray[np.int32] | None:
        """Class number a row, -1 where unknown; None when the dataset has no labels."""
        return self._store.index.labels

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Class names of the dataset by number."""
        return self.plan.dataset.classes

    @property
    def missing(self) -> list[PartId]:
        """Parts that are not built."""
        return self._store.missing()

    def rejected(self, view: int) -> NDArray[np.int64]:
        """Rows whose image could not be used in a view."""
        return self._shelf(self._view(view), check=True).rejected()

    def __len__(self) -> int:
        return self.plan.dataset.rows

    def __contains__(self, image_id: object) -> bool:
        return isinstance(image_id, str) and self._store.index.find(image_id) is not None

    def __iter__(self) -> Iterator[str]:
        """The image ids, as of a dict: `for image_id in cache: cache[image_id]`."""
        return iter(self.ids)

    def __getitem__(self, image_id: str) -> Said:
        return self.get(image_id)

    def get(self, image_id: str, *, view: int = 0, raw: bool = False) -> Said:
        """What was said about one view of an image; `raw` gives the stored arrays instead of values."""
        _refuse_numbers(image_id)
        row = self._store.index.row_of(image_id)
        shelf = self._shelf(self._view(view), check=True)
        reason = shelf.reason(row)
        if reason is not None:
            raise BadImage(
                f"{image_id} could not be used when the cache was built: {reason}",
                hint=f"all such images are listed in {self._store.place.at('rejected.jsonl')}",
            )
        codecs, rows = self._codecs(None), np.array([row])
        fields = {f.name: np.empty((1, *f.shape), f.dtype) for f in Context(shelf, codecs, self._here.rings).fields}
        shelf.fetch(rows, fields)
        if raw:
            signals: dict[str, Any] = {name: array[0] for name, array in fields.items()}
        else:
            values = {name: decode(codec, fields, rows, shelf) for name, codec in codecs.items()}
            signals = {name: v[0] if isinstance(v, np.ndarray) else v for name, v in values.items()}
        label = -1 if self.labels is None else int(self.labels[row])
        return Said(image_id, row, view, None if label < 0 else label, signals)

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
    ) -> Stream:
        """The batches of one epoch for one process.

        The order depends on (seed, epoch, shuffle) alone. `world` processes get `batch_size` rows each of every global
        batch of `batch_size * world`; `start` is the global batch to begin with. Each epoch reads one of `views` in turn.
        Rejected images never come. `check` compares every block with its checksum when it is first touched. `pin` gathers
        into page-locked memory for a GPU.
        """
        if isinstance(views, int):
            raise UsageError(f"views is {views}, not a list of views", hint=f"views=[{views}]")
        wanted = [self._view(view) for view in (range(self.views) if views is None else views)]
        if not wanted:
            raise UsageError("views is empty", hint="leave it out to use all")
        shelf = self._shelf(view_of(epoch, wanted), check=check)
        run, window = self._runs()
        order = Order(
            len(self), seed=seed, epoch=epoch, shuffle=shuffle, rejected=shelf.rejected(), run=run, window=window
        )
        share = Share(len(order), batch_size, rank, world, drop_last)
        return Stream(
            Context(shelf, self._codecs(signals), self._here.rings), order, share, start=start, pin=pin, threads=threads
        )

    def _runs(self) -> tuple[int, int]:
        """How a shuffle by blocks cuts this cache, whatever signals are read: the order must not depend on them."""
        row_bytes = sum(field.row_bytes for field in self._store.fields.values() if not field.per_part)
        return runs_of(row_bytes, max(self.plan.layout.block_rows.values()))

    def _view(self, view: int) -> int:
        if not 0 <= view < self.views:
            hint = f"views count from 0: it has {'0' if self.views == 1 else f'0 to {self.views - 1}'}"
            raise UsageError(f"no view {view} in {self._store.place}: it has {self.views}", hint=hint)
        return view

    def _codecs(self, signals: Sequence[str] | None) -> dict[str, Codec]:
        codecs = self.plan.codecs()
        if isinstance(signals, str):
            raise UsageError(f"signals is {signals!r}, not a list of signals", hint=f"signals=[{signals!r}]")
        unknown = [name for name in signals or () if name not in codecs]
        if unknown:
            raise UnknownSignal(f"no signal {unknown[0]!r} in {self._store.place}", hint=f"it has {', '.join(codecs)}")
        return {name: codecs[name] for name in (codecs if signals is None else signals)}

    @property
    def _here(self) -> _Mapped:
        """What this process has open."""
        process = os.getpid()
        mapped = self._mapped.get(process)
        return self._mapped.setdefault(process, _Mapped()) if mapped is None else mapped

    def _shelf(self, view: int, *, check: bool) -> Shelf:
        """A view ready to be read."""
        return self._here.shelf(self._store, view, check)


def _refuse_numbers(image_id: object) -> None:
    """Rows are an easy mistake for a reader who thinks of a list."""
    if not isinstance(image_id, str):
        kind = type(image_id).__name__
        raise TypeError(f"images are found by their id, not by {kind}: cache[cache.ids[ROW]] is that of a row")
