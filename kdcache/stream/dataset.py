"""A cache as a PyTorch dataset: for each image the pixels that the teacher was shown, its signals, and the image's truths.

This file imports torch, so only `Cache.dataset` imports it. An item is a dict:

    pixels      uint8 tensor (3, height, width), or the result of `transform` for the array (height, width, 3)
    targets     signal name -> float32 tensor of the signal's shape; for logits, probabilities of all classes
    truths      column name -> value, None where unknown
    row         row of the dataset
    item        number of the item within the row; only if examples are items
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, default_collate

from kdcache.base.digest import pixel_digest
from kdcache.base.lazy import lazy
from kdcache.errors import Drift
from kdcache.images import load
from kdcache.images.source import Source
from kdcache.images.truths import Truths
from kdcache.store.drift import pixels_hint
from kdcache.store.plan import VIEW_DIGEST
from kdcache.stream.batch import decode
from kdcache.stream.examples import Examples, Rows, examples_of
from kdcache.stream.order import Order
from kdcache.stream.reader import Reader
from kdcache.views import view_pixels
from kdcache.views.recipe import drawable

Transform = Callable[[NDArray[np.uint8]], Any]


class CacheDataset(Dataset[dict[str, Any]]):
    """The usable examples of one view, in row order. Made by `Cache.dataset`; each worker process opens the cache itself."""

    def __init__(
        self,
        reader: Reader,
        source: Source,
        *,
        transform: Transform | None = None,
        truths: Sequence[str] = (),
        signals: Sequence[str] | None = None,
        view: int = 0,
        examples: Examples | None = None,
        check: bool = True,
    ) -> None:
        store = reader.store
        self._reader, self._source, self._transform, self._check = reader, source, transform, check
        self._names = tuple(reader.codecs(signals))
        self._view, self._columns, self._examples = reader.view(view), truths, examples
        self._recipe = drawable(store.plan.views.recipe)
        self._given = examples_of(store.place, store.plan.dataset.rows, examples)
        self._truths.expect(truths)

    def __reduce__(self) -> tuple[Any, ...]:
        options = {"transform": self._transform, "truths": self._columns, "signals": self._names, "view": self._view}
        return _again, (self._reader, self._source, {**options, "examples": self._examples, "check": self._check})

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, number: int) -> dict[str, Any]:
        if not -len(self) <= number < len(self):
            raise IndexError(f"item {number} of {len(self)}")
        return self.__getitems__([number % len(self)])[0]

    def __getitems__(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        """Read several items together; a DataLoader calls this with the indices of a batch."""
        examples = np.array([self._order.slice(number, number + 1)[0] for number in numbers], np.int64)
        rows, items = self._order.rows_of(examples), self._order.examples.items_of(examples)
        targets, truths = self._targets(rows), self._truths.read(self._columns, rows)
        pixels = self._pixels(rows)
        return [
            {
                "pixels": pixels[place],
                "targets": {name: values[place] for name, values in targets.items()},
                "truths": {name: values[place] for name, values in truths.items()},
                "row": row,
                **({} if items is None else {"item": int(items[place])}),
            }
            for place, row in enumerate(rows.tolist())
        ]

    def collate(self, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Collate items into a batch: pixels, targets and rows are stacked, each truth column becomes a list."""
        truths = {name: [item["truths"][name] for item in items] for name in self._columns}
        rest: dict[str, Any] = default_collate([{k: v for k, v in item.items() if k != "truths"} for item in items])
        return {**rest, "truths": truths}

    @lazy
    def _order(self) -> Order:
        return Order(self._given, shuffle=False, rejected=self._reader.shelf(self._view).rejected())

    @lazy
    def _truths(self) -> Truths:
        index = self._reader.store.index
        return Truths(self._source, index.ids, index.labels)

    def _targets(self, rows: Rows) -> dict[str, torch.Tensor]:
        context = self._reader.context(self._view, self._names, check=self._check)
        fields = {f.name: np.empty((len(rows), *f.shape), f.dtype) for f in context.fields}
        context.shelf.fetch(rows, fields)
        values = {name: decode(codec, fields, rows, context.shelf) for name, codec in context.codecs.items()}
        return {name: torch.tensor(v if isinstance(v, np.ndarray) else v.probabilities()) for name, v in values.items()}

    def _pixels(self, rows: Rows) -> list[Any]:
        """Render the view of each row again; Drift if its pixels differ from those that the teacher was shown."""
        expected = np.empty(len(rows), VIEW_DIGEST.dtype)
        self._reader.shelf(self._view, check=self._check).fetch(rows, {VIEW_DIGEST.name: expected})
        made = []
        for row, digest in zip(rows.tolist(), expected.tolist(), strict=True):
            pixels = self._render(row)
            if self._check and pixel_digest(pixels) != digest:
                raise self._drift(row)
            if self._transform is None:
                made.append(torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))))
            else:
                made.append(self._transform(pixels))
        return made

    def _render(self, row: int) -> NDArray[np.uint8]:
        store = self._reader.store
        return view_pixels(
            self._recipe,
            seed=store.plan.views.seed,
            view=self._view,
            row=row,
            size=store.plan.teacher.preprocess.size,
            ids=store.index.ids,
            load=lambda image_id: load(self._source, image_id, background=self._recipe.background),
        )

    def _drift(self, row: int) -> Drift:
        store = self._reader.store
        return Drift(
            f"view {self._view} of {store.index.ids[row]} is not what the teacher of {store.place} was shown",
            hint=f"{pixels_hint(store.path, store.plan)}; kd cache verify {store.place} --replay 1000 counts how many differ",
        )


def _again(reader: Reader, source: Source, options: dict[str, Any]) -> CacheDataset:
    """Make the dataset again in another process."""
    return CacheDataset(reader, source, **options)
