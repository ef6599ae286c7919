"""The image-ID index: row -> id and label, id -> row, for 14 million images without a list of them in memory.

`index.arrow` is an Arrow IPC file with one record batch, mapped and never parsed: image_id, label, and the 64-bit hashes of
all ids in ascending order, each with its row. Rows that are added later (a plan with `generations`; nothing adds rows today) come
after the others, with their own hashes in ascending order.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise, takewhile
from typing import Any, Self, overload

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from kdcache.base import digest
from kdcache.base.arrow_file import arrow_writer
from kdcache.base.lazy import lazy
from kdcache.errors import Damage, UsageError
from kdcache.images.source import UNLABELLED, Listing
from kdcache.store.arrow import (
    REPAIR,
    check_batch,
    check_generations,
    check_size,
    index_file_digest,
    mapped_batch,
    row_type,
    values_of,
)
from kdcache.store.places.place import Place

CHUNK = 1 << 16
PIECE = 4 << 20
"""Number of bytes copied at a time."""
LOOK_ALIKES = 4096
"""How many ids are compared with an unknown id to suggest similar ones."""
COMPARED_BYTES = 512
"""Longest unknown id, in bytes, for which similar ids are suggested: a longer one is hardly a typing mistake."""
MOST_WORK = 6_000_000
"""Largest total cost of these comparisons, in characters times characters."""
SHOWN_LETTERS = 120
Write = Callable[[Any], object]
"""Takes the bytes of an index, piece by piece."""


class UnknownImage(UsageError, KeyError):
    """The dataset has no image with that id."""

    def __str__(self) -> str:
        return self.message


class Ids(Sequence[str]):
    """All image ids in row order, decoded one at a time. Pickles as the location of the index."""

    def __init__(self, place: Place, name: str) -> None:
        self._place, self._name = place, name

    def __reduce__(self) -> tuple[type["Ids"], tuple[Place, str]]:
        return Ids, (self._place, self._name)

    @lazy
    def batch(self) -> pa.RecordBatch:
        """The mapped record batch."""
        return mapped_batch(self._place, self._name)

    @lazy
    def _text(self) -> tuple[NDArray[np.int64], memoryview]:
        _, offsets, data = self.batch.column(0).buffers()
        return np.frombuffer(offsets, "<i8"), memoryview(data or b"")

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [self[r] for r in range(*row.indices(len(self)))]
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        offsets, data = self._text
        first, last = offsets[row % len(self) :][:2].tolist()
        return str(data[first:last], "utf-8")

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), CHUNK):
            yield from self.batch.column(0).slice(start, CHUNK).to_pylist()


class Index:
    """Looks up ids by row and rows by id in a mapped index.arrow."""

    def __init__(self, place: Place, name: str, generations: tuple[int, ...] = ()) -> None:
        self._place, self._name = place, name
        self.generations = generations
        """Row count at the end of each generation, as in the plan; empty if no rows were added later."""
        self.ids = Ids(place, name)

    def __reduce__(self) -> tuple[type["Index"], tuple[Place, str, tuple[int, ...]]]:
        return Index, (self._place, self._name, self.generations)

    @classmethod
    def open(
        cls,
        place: Place,
        name: str,
        *,
        expected: str | None = None,
        rows: int | None = None,
        classes: Sequence[str] | None = None,
        generations: tuple[int, ...] = (),
    ) -> Self:
        """Map an index after checking that all its buffers lie inside the file.

        With `expected`, the digest in the plan, the whole file is hashed first; `rows` and `classes` are checked if given.
        """
        path = place.at(name)
        check_size(place, name, rows or 0)
        if expected is not None and (found := index_file_digest(place, name)) != expected:
            raise Damage(f"{path} is damaged: its digest is {found}, the plan has {expected}", hint=REPAIR, path=path)
        index = cls(place, name, generations)
        check_batch(path, index.ids.batch, rows, classes)
        check_generations(path, index.ids.batch, generations)
        return index

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: int) -> str:
        return self.ids[row]

    @lazy
    def labels(self) -> NDArray[np.int32] | None:
        """Class number of each row, UNLABELLED where unknown; None when the dataset has no labels."""
        column = self.ids.batch.column(1)
        if column.null_count == len(column):
            return None
        return values_of(column.fill_null(UNLABELLED), np.dtype(np.int32))

    def copy_into(self, write: Write) -> None:
        """Write the same bytes again, piece by piece."""
        with self._place.opened(self._name) as file:
            for start in range(0, file.nbytes, PIECE):
                write(file.read(start, PIECE))

    def find(self, image_id: str) -> int | None:
        """The row of an image; None if there is no such image."""
        try:
            wanted = np.uint64(digest.id_hash(image_id))
        except UnicodeEncodeError:  # a lone surrogate, from a file name that is not UTF-8; no id contains one
            return None
        for hashes, rows in self._generations():
            place = int(np.searchsorted(hashes, wanted))
            while place < len(hashes) and hashes[place] == wanted:
                if self.ids[row := int(rows[place])] == image_id:
                    return row
                place += 1
        return None

    def _generations(self) -> Iterator[tuple[NDArray[np.uint64], NDArray[Any]]]:
        """Yield the ascending hashes and the rows of each generation; there is one generation if no rows were added."""
        hashes, rows = self.hashes
        ends = self.generations or (len(self),)
        return ((hashes[first:last], rows[first:last]) for first, last in pairwise((0, *ends)))

    def row_of(self, image_id: str) -> int:
        """The row of an image; UnknownImage, with similar ids as a hint, if there is no such image."""
        row = self.find(image_id)
        if row is not None:
            return row
        near = nearest(self.ids, image_id)
        hint = f"ids are as the dataset names them, such as {_shown(self.ids[0])!r}"
        if near:
            hint = f"nearest: {', '.join(map(_shown, near))}"
        raise UnknownImage(f"no image {image_id!r} among {len(self):,}", hint=hint, image_id=image_id, nearest=near)

    @lazy
    def hashes(self) -> tuple[NDArray[np.uint64], NDArray[Any]]:
        """Hashes of all ids, ascending within a generation, and the row of each."""
        return values_of(self.ids.batch.column(2), np.dtype(np.uint64)), values_of(
            self.ids.batch.column(3), row_type(len(self))
        )


def nearest(ids: Ids, wanted: str, *, most: int = 3) -> list[str]:
    """Ids that a user may have meant: those with the same file name or, in a small dataset, similar ones."""
    import pyarrow.compute as pc

    column = ids.batch.column(0)
    short = pc.less_equal(pc.binary_length(column), COMPARED_BYTES)
    name = wanted.rsplit("/", 1)[-1]
    for part in dict.fromkeys((name, name.rsplit(".", 1)[0])):
        if not part:
            continue
        holding = pc.and_(pc.match_substring(column, part, ignore_case=True), short)
        if len(rows := pc.indices_nonzero(holding).slice(0, LOOK_ALIKES)):
            return _alike(wanted, column.take(rows).to_pylist(), most, 0.0)
    first = column.slice(0, LOOK_ALIKES).filter(short.slice(0, LOOK_ALIKES))
    return _alike(wanted, first.to_pylist(), most, 0.6)


def _alike(wanted: str, known: list[str], most: int, cutoff: float) -> list[str]:
    """The most similar ids among as many as can be compared in a few seconds."""
    from difflib import get_close_matches

    if len(wanted) > COMPARED_BYTES:
        return []
    work = accumulate(len(each) * len(wanted) for each in known)
    count = sum(1 for _ in takewhile(lambda spent: spent <= MOST_WORK, work))
    return get_close_matches(wanted, known[:count], most, cutoff)


def _shown(image_id: str) -> str:
    return image_id if len(image_id) <= SHOWN_LETTERS else image_id[: SHOWN_LETTERS - 1] + "…"


def write_index(listing: Listing, write: Write) -> None:
    """Write the index of a listing, piece by piece. Equal listings give equal bytes."""
    batch = _table(listing)
    with arrow_writer(batch.schema, write) as writer:
        writer.write_batch(batch)


class ListedIds(Sequence[str]):
    """A listing's ids as a sequence of strings that are made only when needed."""

    def __init__(self, listing: Listing) -> None:
        self._ids = listing.ids

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[str]: ...
    def __getitem__(self, row: int | slice) -> str | Sequence[str]:
        if isinstance(row, slice):
            return [str(value) for value in self._ids[row].to_pylist()]
        return str(self._ids[row].as_py())


def index_digest(listing: Listing) -> str:
    """The digest that `index.arrow` of a listing will have; nothing is written."""
    state = xxhash.xxh3_128()
    write_index(listing, state.update)
    return state.hexdigest()


def _table(listing: Listing) -> pa.RecordBatch:
    ids = listing.ids.cast(pa.large_string())
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.combine_chunks()
    count = len(ids)
    hashes = np.empty(count, np.uint64)
    for start in range(0, count, CHUNK):
        chunk = ids.slice(start, CHUNK).to_pylist()
        hashes[start : start + len(chunk)] = np.fromiter(map(digest.id_hash, chunk), np.uint64, len(chunk))
    order = np.argsort(hashes, kind="stable")
    hashes = hashes[order]
    _refuse_twins(ids, hashes, order)
    if listing.labels is None:
        labels = pa.nulls(count, pa.int32())
    else:
        labels = pa.array(listing.labels, pa.int32(), mask=listing.labels == UNLABELLED)
    return pa.record_batch(
        [ids, labels, pa.array(hashes), pa.array(order.astype(row_type(count)))],
        names=["image_id", "label", "hash", "hash_row"],
    )


def _refuse_twins(ids: pa.Array, hashes: NDArray[np.uint64], order: NDArray[np.int64]) -> None:
    """UsageError if an id occurs twice. Different ids with equal hashes are allowed."""
    seen: dict[str, int] = {}
    twins = np.flatnonzero(hashes[1:] == hashes[:-1])
    for place in np.union1d(twins, twins + 1):
        row = int(order[place])
        image_id = ids[row].as_py()
        if image_id in seen:
            raise UsageError(
                f"the image id {image_id!r} is there twice: rows {seen[image_id]} and {row}",
                hint="rename one of the two, or remove it from the dataset",
            )
        seen[image_id] = row
