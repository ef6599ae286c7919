"""A batch as the consumer gets it: views into a reused buffer, decoded on demand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kdcache.codecs.codec import Codec, Field, Fields, naming_rows
from kdcache.signals.padded import empty_rows
from kdcache.stream.examples import Rows
from kdcache.stream.ring import Rings
from kdcache.stream.shelf import Shelf

if TYPE_CHECKING:
    import torch


LARGE_ROW = 32 << 10
"""A decoded row of at least this many bytes counts as large."""


@dataclass(frozen=True)
class Context:
    """What all batches of a stream have in common."""

    shelf: Shelf
    codecs: Mapping[str, Codec]
    rings: Rings

    @property
    def fields(self) -> list[Field]:
        """The stored arrays that a batch contains."""
        return [field for codec in self.codecs.values() for field in codec.fields() if not field.per_part]


class Batch:
    """A batch of examples of one view, in the order of the epoch. If examples are items of rows, rows may repeat.

    `fields` are views into a buffer of the stream: they are valid until two more batches are drawn, or another
    iteration of the same cache begins. Use `copy` to keep them longer.
    """

    __slots__ = ("_context", "examples", "fields", "items", "number", "rows")

    def __init__(
        self,
        number: int,
        rows: Rows,
        fields: Fields,
        context: Context,
        *,
        examples: Rows | None = None,
        items: Rows | None = None,
    ) -> None:
        self.number = number
        """Number of the global batch in its epoch; `start=number + 1` resumes after it."""
        self.rows = rows
        """Row in the dataset of each example."""
        self.examples = rows if examples is None else examples
        """Number of each example among all examples of the dataset; without items it equals the row."""
        self.items = items
        """Number of each example's item within its row, from 0; None if examples are rows."""
        self.fields = fields
        """Stored arrays by field name, still encoded."""
        self._context = context

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        what = "rows" if self.items is None else "items"
        return f"<Batch {self.number}: {len(self)} {what} of view {self.view}, {', '.join(self.fields)}>"

    @property
    def view(self) -> int:
        """Number of the view of all rows."""
        return self._context.shelf.view

    @property
    def ids(self) -> list[str]:
        """Image ids of the examples, looked up at each call."""
        ids = self._context.shelf.store.index.ids
        return [ids[row] for row in self.rows.tolist()]

    @property
    def labels(self) -> NDArray[np.int32] | None:
        """Class numbers of the examples, -1 where unknown; None when the dataset has no labels."""
        labels = self._context.shelf.store.index.labels
        return None if labels is None else labels[self.rows]

    def coded(self, name: str) -> tuple[Codec, Fields]:
        """The codec of a signal, and the stored arrays for it by field name."""
        codec = self._context.codecs[name]
        return codec, {field.name: self.fields[field.name] for field in codec.fields() if not field.per_part}

    def decode(self) -> dict[str, Any]:
        """Signal name -> values: float32, int64 for codes, a distribution for logits; `Padded` if rows differ in length.

        The arrays are new, except for values stored as float32.
        """
        context = self._context
        return {name: decode(codec, self.fields, self.rows, context.shelf) for name, codec in context.codecs.items()}

    def torch(self) -> "dict[str, torch.Tensor]":
        """The fields as tensors over the same memory. Codecs of top-k logits decode tensors too, on any device."""
        import torch

        return {name: torch.from_numpy(array) for name, array in self.fields.items()}

    def copy(self) -> "Batch":
        """A copy of the batch in its own memory."""
        fields = {name: array.copy() for name, array in self.fields.items()}
        return Batch(self.number, self.rows, fields, self._context, examples=self.examples, items=self.items)


def decode(codec: Codec, fields: Fields, rows: Rows, shelf: Shelf) -> Any:
    """Decode the values of one signal. If a part has arrays only once (such as scales), rows are decoded part by part."""
    mine = {field.name: fields[field.name] for field in codec.fields() if not field.per_part}
    of_parts = [field.name for field in codec.fields() if field.per_part]
    if of_parts:
        return _by_part(codec, mine, of_parts, rows, shelf)
    with naming_rows(rows):
        return codec.decode(mine)


def _by_part(codec: Codec, mine: Fields, of_parts: list[str], rows: Rows, shelf: Shelf) -> Any:
    parts = rows // shelf.store.plan.layout.rows_per_part
    result = empty_rows(codec.signal, len(rows))
    large = codec.signal.size * np.dtype(codec.signal.dtype).itemsize >= LARGE_ROW
    for part in np.unique(parts).tolist():
        here = np.flatnonzero(parts == part)
        whole = {name: shelf.whole(name, part) for name in of_parts}
        if not large:
            with naming_rows(rows[here]):
                result[here] = codec.decode({name: array[here] for name, array in mine.items()} | whole)
            continue
        for row in here.tolist():  # one row at a time, in place: copying large rows would cost more than the calls
            one = slice(row, row + 1)
            with naming_rows(rows[one]):
                codec.decode_into({name: array[one] for name, array in mine.items()} | whole, result[one])
    return result
