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
    """The signals of one view of one image: signal name -> values, as `Batch.decode` returns them.

    Arrays have no row axis. Distributions, and signals whose rows differ in length (`Padded`), keep a row axis of length one.
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
        """Reads batches of rows; streams over this cache, or over several caches, are built on it."""

    @classmethod
    def open(cls, where: Path | str | Place) -> Self:
        """Open a cache, complete or not, in a folder or in another place."""
        return cls(Store.open(Path(where) if isinstance(where, str) else where))

    def __reduce__(self) -> tuple[Any, tuple[Place]]:
        return type(self).open, (self._store.place,)

    def __repr__(self) -> str:
        signals = ", ".join(f"{s.signal.name} ({s.codec})" for s in self.plan.signals)
        return f"<Cache {self._store.place}: {len(self):,} images, {self.views} views, {signals}>"

    @property
    def path(self) -> Path:
        """The folder of the cache; UsageError when the cache does not lie in a folder of this machine."""
        return self._store.path

    @property
    def plan(self) -> Plan:
        """The plan: what the cache contains and how it was made."""
        return self._store.plan

    @property
    def teacher(self) -> TeacherSpec:
        """The teacher the cache was built with."""
        return self.plan.teacher

    @property
    def views(self) -> int:
        """Number of views stored of each image."""
        return self.plan.views.count

    @property
    def ids(self) -> Sequence[str]:
        """Image ids in row order."""
        return self._store.index.ids

    @property
    def labels(self) -> NDArray[np.int32] | None:
        """Class number of each row, -1 where unknown; None when the dataset has no labels."""
        return self._store.index.labels

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Class names of the dataset, in order of class number."""
        return self.plan.dataset.classes

    @property
    def missing(self) -> list[PartId]:
        """Parts that are not built yet."""
        return self._store.missing()

    def rejected(self, view: int) -> NDArray[np.int64]:
        """Numbers of the rows whose image could not be used in this view."""
        return self.reader.shelf(view).rejected()

    def __len__(self) -> int:
        return self.plan.dataset.rows

    def __contains__(self, image_id: object) -> bool:
        return isinstance(image_id, str) and self._store.index.find(image_id) is not None

    def __iter__(self) -> Iterator[str]:
        """Iterate over the image ids, like a dict over its keys: `for image_id in cache: cache[image_id]`."""
        return iter(self.ids)

    def __getitem__(self, image_id: str) -> Entry:
        return self.get(image_id)

    def get(self, image_id: str, *, view: int = 0, raw: bool = False) -> Entry:
        """The signals of one view of an image; `raw` returns the stored arrays instead of decoded values."""
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
        """Iterate over the batches of one epoch for one process.

        The order depends only on (seed, epoch, shuffle) and the examples. An example is a row or, with `examples`, an item of
        a row. Each of `world` processes gets `batch_size` examples of every global batch of `batch_size * world`; `start` is
        the number of the first global batch. Epochs read the `views` in turn, one each. Rejected images are left out. `check`
        compares every block with its checksum when it is first read. `pin` gathers into page-locked memory for a GPU.
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
        """A `torch.utils.data.Dataset` of the usable images of one view; each item has `pixels`, `targets`, `truths` and `row`.

        Pixels are those that the teacher was shown, rendered again from the images and, with `check`, compared with the stored
        digest. `transform` gets them as uint8 (height, width, 3). `truths` names columns of what is known about the images,
        such as `class`; `data` is the present location of the images. With `examples`, each item of a row is an example.
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
    """Raise an error that explains how to index by row, because indexing a cache like a list is an easy mistake."""
    if not isinstance(image_id, str):
        kind = type(image_id).__name__
        raise TypeError(f"a cache is indexed by image id, not by {kind}; to get a row, use cache[cache.ids[ROW]]")
