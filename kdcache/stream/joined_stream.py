"""The stream of joined caches: one stream per cache, all in the same order, read together.

Input: a stream of each cache that is read, and the addresses of the signals. Output: batches that contain a batch of each.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kdcache.codecs.codec import Codec, Fields
from kdcache.store import Index
from kdcache.stream.batch import Batch
from kdcache.stream.examples import Rows
from kdcache.stream.flow import Stream
from kdcache.stream.order import Order, Share

if TYPE_CHECKING:
    import torch

Addresses = Mapping[str, tuple[str, str]]
"""Maps the address of a signal to (name of its cache, name of the signal there)."""


class JoinedBatch:
    """A batch of the same examples in every cache. It works like a `Batch`, but signals are named by their address."""

    __slots__ = ("_index", "_signals", "batches", "examples", "items", "number", "rows", "view")

    def __init__(self, batches: Mapping[str, Batch], signals: Addresses, index: Index, rows: Rows, view: int) -> None:
        self.batches = batches
        """Batch of each cache that is read, by the name of the cache; its `rows` are rows of that cache."""
        self._signals, self._index = signals, index
        first = next(iter(batches.values()))
        self.number = first.number
        """Number of the global batch in its epoch; `start=number + 1` resumes after it."""
        self.rows = rows
        """Row of each example in the first cache."""
        self.examples = first.examples
        """Number of each example among all examples of the dataset; without items it equals the row."""
        self.items = first.items
        """Number of each example's item within its row, from 0; None if examples are rows."""
        self.view = view
        """Number of the stored view, the same in every cache."""

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<JoinedBatch {self.number}: {len(self)} examples of view {self.view}, {', '.join(self._signals)}>"

    @property
    def ids(self) -> list[str]:
        """Image ids of the examples, looked up at each call."""
        return [self._index.ids[row] for row in self.rows.tolist()]

    @property
    def labels(self) -> NDArray[np.int32] | None:
        """Class numbers in the first cache, -1 where unknown; None if it has no labels."""
        labels = self._index.labels
        return None if labels is None else labels[self.rows]

    @property
    def fields(self) -> Fields:
        """Stored arrays, still encoded, named like the signals' addresses: `field` or `NAME.field`."""
        return {
            field if address == signal else f"{cache}.{field}": array
            for address, (cache, signal) in self._signals.items()
            for field, array in self.batches[cache].coded(signal)[1].items()
        }

    def coded(self, address: str) -> tuple[Codec, Fields]:
        """The codec of a signal, and the stored arrays for it by the codec's own field names."""
        cache, signal = self._signals[address]
        return self.batches[cache].coded(signal)

    def decode(self) -> dict[str, Any]:
        """Address of each signal -> values, as `Batch.decode` returns them."""
        values = {name: batch.decode() for name, batch in self.batches.items()}
        return {address: values[cache][signal] for address, (cache, signal) in self._signals.items()}

    def torch(self) -> "dict[str, torch.Tensor]":
        """The fields as tensors over the same memory."""
        import torch

        return {name: torch.from_numpy(array) for name, array in self.fields.items()}

    def copy(self) -> "JoinedBatch":
        """A copy of the batch in its own memory."""
        batches = {name: batch.copy() for name, batch in self.batches.items()}
        return JoinedBatch(batches, self._signals, self._index, self.rows, self.view)


class JoinedStream:
    """The batches of one epoch for one process over joined caches. Iterating again gives the same batches."""

    def __init__(
        self,
        streams: Mapping[str, Stream],
        signals: Addresses,
        order: Order,
        share: Share,
        index: Index,
        *,
        view: int,
        start: int,
    ) -> None:
        self._streams, self._signals, self._order, self._share, self._index = streams, signals, order, share, index
        self.view = view
        """Number of the stored view that this epoch reads."""
        self.start = start
        """Number of the first global batch."""

    def __len__(self) -> int:
        return len(self._share) - self.start

    @property
    def epoch(self) -> int:
        """Number of the epoch."""
        return self._order.epoch

    def rows(self, number: int) -> Rows:
        """Rows (of the first cache) of this process's piece of global batch `number`; nothing is read."""
        return self._order.rows_of(self.examples(number))

    def examples(self, number: int) -> Rows:
        """Example numbers of this process's piece of global batch `number`; nothing is read."""
        return self._order.slice(*self._share.span(number))

    def __iter__(self) -> Iterator[JoinedBatch]:
        with ExitStack() as stack:
            each = [stack.enter_context(closing(stream.batches())) for stream in self._streams.values()]
            for together in zip(*each, strict=True):
                batches = dict(zip(self._streams, together, strict=True))
                rows = self._order.rows_of(together[0].examples)
                yield JoinedBatch(batches, self._signals, self._index, rows, self.view)
