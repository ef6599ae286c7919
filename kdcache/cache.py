"""The public face of a cache: `Cache.open(path)`, `cache["image/id"]`, `cache.stream(...)`.

Opening reads the plan and nothing else. No teacher, no torch, no HDF5 or Zarr library is needed to read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from kdcache.errors import BadImage
from kdcache.signals.teacher import TeacherSpec
from kdcache.store import Place, Store
from kdcache.store.plan import PartId, Plan
from kdcache.stream import Examples, Order, Reader, Share, Shuffle, Stream, UnknownSignal, decode, examples_of, view_of

if TYPE_CHECKING:
    from kdcache.stream.dataset import CacheDataset, Transform


@dataclass(frozen=True)
class Entry(Mapping[str, Any]):
    """What the teacher emitted for one view of one image: signal name -> values, as `Batch.decode` gives them.

    Arrays are without an axis of rows; distributions, and signals whose rows differ in length (`Padded`), have the one row.
    """

    image_id: str
    row: int
    view: int
    label: int | None
    """Class number of the image; None when it is unknown."""
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


class Cache:
    """The signals of a frozen teacher for every image of a dataset, read from disk."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.reader = Reader(store)
        """What streams of this cache, or of several, are made from."""

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
        """The teacher the cache was built with."""
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
        return self.reader.shelf(view).rejected()

    def __len__(self) -> int:
        return self.plan.dataset.rows

    def __contains__(self, image_id: object) -> bool:
        return isinstance(image_id, str) and self._store.index.find(image_id) is not None

    def __iter__(self) -> Iterator[str]:
        """The image ids, as of a dict: `for image_id in cache: cache[image_id]`."""
        return iter(self.ids)

    def __getitem__(self, image_id: str) -> Entry:
        return self.get(image_id)

    def get(self, image_id: str, *, view: int = 0, raw: bool = False) -> Entry:
        """What was emitted for one view of an image; `raw` gives the stored arrays instead of values."""
        _refuse_numbers(image_id)
        row = self._store.index.row_of(image_id)
        shelf = self.reader.shelf(view)
        reason = shelf.reason(row)
        if reason is not None:
            raise BadImage(
                f"{image_id} could not be used when the cache was built: {reason}",
                hint=f"all such images are listed in {self._store.place.at('rejected.jsonl')}",
            )
        context, rows = self.reader.context(view, None), np.array([row])
        fields = {f.name: np.empty((1, *f.shape), f.dtype) for f in context.fields}
        shelf.fetch(rows, fields)
        if raw:
            signals: dict[str, Any] = {name: array[0] for name, array in fields.items()}
        else:
            values = {name: decode(codec, fields, rows, shelf) for name, codec in context.codecs.items()}
            signals = {name: v[0] if isinstance(v, np.ndarray) else v for name, v in values.items()}
        label = -1 if self.labels is None else int(self.labels[row])
        return Entry(image_id, row, view, None if label < 0 else label, signals)

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
    ) -> Stream:
        """The batches of one epoch for one process.

        The order depends on (seed, epoch, shuffle) and the examples alone. An example is a row or, with `examples`, an item of
        a row. `world` processes get `batch_size` examples each of every global batch of `batch_size * world`; `start` is the
        global batch to begin with. Each epoch reads one of `views` in turn. Rejected images never come. `check` compares every
        block with its checksum when it is first touched. `pin` gathers into page-locked memory for a GPU.
        """
        context = self.reader.context(view_of(epoch, self.reader.views(views)), signals, check=check)
        run, window = self.reader.runs()
        order = Order(
            examples_of(self._store.place, len(self), examples),
            seed=seed,
            epoch=epoch,
            shuffle=shuffle,
            rejected=context.shelf.rejected(),
            run=run,
            window=window,
        )
        share = Share(len(order), batch_size, rank, world, drop_last)
        return Stream(context, order, share, start=start, pin=pin, threads=threads)

    def dataset(
        self,
        transform: "Transform | None" = None,
        *,
        truths: Sequence[str] = (),
        signals: Sequence[str] | None = None,
        view: int = 0,
        data: str | None = None,
        examples: Examples | None = None,
        check: bool = True,
    ) -> "CacheDataset":
        """A `torch.utils.data.Dataset` of the usable images of one view: `pixels`, `targets`, `truths` and `row` of each.

        Pixels are the view that the teacher saw, rendered again from the images and, with `check`, compared with the digest of
        what it was shown. `transform` gets them as uint8 (height, width, 3). `truths` names columns of what is known of the
        images, such as `class`; `data` says where the images lie now. With `examples` there is one example an item of a row.
        """
        from kdcache.images import open_source
        from kdcache.stream.dataset import CacheDataset

        where = self.plan.dataset.source
        return CacheDataset(
            self.reader,
            open_source(data or where, like=where),
            transform=transform,
            truths=truths,
            signals=signals,
            view=view,
            examples=examples,
            check=check,
        )


def _refuse_numbers(image_id: object) -> None:
    """Rows are an easy mistake for a reader who thinks of a list."""
    if not isinstance(image_id, str):
        kind = type(image_id).__name__
        raise TypeError(f"a cache is indexed by image id, not by {kind}; to get a row, use cache[cache.ids[ROW]]")
