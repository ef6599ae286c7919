"""Read and check the truths of a dataset by row, lazily and a few rows at a time.

Input: a source, the ids of its rows, and their labels. Output: columns of a few rows; the number of items of each row; a digest.
Training, evaluation and counting all read truths here, whatever the source is.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from kdcache.errors import UsageError
from kdcache.images.source import UNLABELLED, Source, WithTruths
from kdcache.images.truths.kinds import KINDS, Kind, NotThatTruth, kind_of, near

CHUNK = 256
"""Rows whose truths are in memory at a time while all are counted or hashed: usually some MB, at most 4 GiB."""


class Truths:
    """The truths of images, in named columns, by row. It keeps no values, and pickles as its source and ids."""

    def __init__(self, source: Source, ids: Sequence[str], labels: NDArray[np.int32] | None = None) -> None:
        self._source, self._ids, self._labels = source, ids, labels

    @property
    def images(self) -> str:
        """Name of the source, for messages."""
        return self._source.name

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        of_source = self._source.truths() if isinstance(self._source, WithTruths) else ()
        listed = () if self._labels is None else tuple(kind.name for kind in KINDS.values() if kind.from_listing)
        return (*listed, *of_source)

    def expect(self, names: Sequence[str]) -> None:
        """UsageError, listing the existing columns, unless all of these exist."""
        if isinstance(names, str):
            raise UsageError(f"truths is {names!r}, not a list of names", hint=f"truths=[{names!r}]")
        there = self.names
        for name in names:
            kind_of(name)
            if name not in there:
                raise UsageError(f"{self._source.name} has no truth called {name!r}", hint=near(name, there))

    def read(self, names: Sequence[str], rows: Sequence[int] | NDArray[np.int64]) -> dict[str, list[Any]]:
        """Column name -> the checked value of each row, None where unknown."""
        self.expect(names)
        numbers = [int(row) for row in rows]
        ids = [self._ids[row] for row in numbers]
        wanted = tuple(name for name in names if not kind_of(name).from_listing)
        columns = dict[str, Sequence[Any]]()
        if wanted and isinstance(self._source, WithTruths):
            columns = dict(self._source.read_truths(wanted, ids))
        return {
            name: self._labels_of(numbers)
            if name not in columns
            else self._checked(kind_of(name), columns[name], numbers)
            for name in names
        }

    def counts(self, name: str) -> NDArray[np.int64]:
        """Number of items (such as questions) of each row in a column, 0 where unknown: input for `Examples.of_items`."""
        kind = kind_of(name)
        if not kind.items:
            with_items = ", ".join(kind.name for kind in KINDS.values() if kind.items)
            raise UsageError(f"{name} has no items that could be examples", hint=f"these have: {with_items}")
        counted = np.zeros(len(self._ids), np.int64)
        for rows, columns in self._chunks((name,)):
            counted[rows.start : rows.stop] = [0 if value is None else len(value) for value in columns[name]]
        return counted

    def digest(self, names: Sequence[str]) -> str:
        """xxh3-128 of these columns over all rows, in row order; a run that trains on them records it."""
        state = _begun(sorted(names))
        for _, columns in self._chunks(tuple(sorted(names))):
            _add(state, columns)
        return state.hexdigest()

    def digests(self, names: Sequence[str]) -> dict[str, str]:
        """Column name -> what `digest` gives for that column alone; all are read in one pass."""
        states = {name: _begun([name]) for name in names}
        for _, columns in self._chunks(tuple(names)) if names else ():
            for name, values in columns.items():
                _add(states[name], {name: values})
        return {name: state.hexdigest() for name, state in states.items()}

    def _chunks(self, names: Sequence[str]) -> Iterator[tuple[range, dict[str, list[Any]]]]:
        for start in range(0, len(self._ids), CHUNK):
            rows = range(start, min(start + CHUNK, len(self._ids)))
            yield rows, self.read(names, rows)

    def _labels_of(self, rows: list[int]) -> list[Any]:
        assert self._labels is not None, "checked before"
        return [None if label == UNLABELLED else label for label in self._labels[rows].tolist()]

    def _checked(self, kind: Kind, values: Sequence[Any], rows: list[int]) -> list[Any]:
        if len(values) != len(rows):
            raise UsageError(f"{self._source.name} gave {len(values)} values of {kind.name} for {len(rows)} rows")
        return [
            None if value is None else self._check(kind, value, row) for value, row in zip(values, rows, strict=True)
        ]

    def _check(self, kind: Kind, value: Any, row: int) -> Any:
        try:
            return kind.check(value)
        except NotThatTruth as reason:
            raise UsageError(
                f"{kind.name} of row {row} ({self._ids[row]}) in {self._source.name} cannot be used: {reason}",
                hint="docs/sources.md describes what a truth may be",
                row=row,
            ) from reason


def _begun(names: Sequence[str]) -> xxhash.xxh3_128:
    """A digest that knows which columns it is of."""
    return xxhash.xxh3_128(json.dumps(list(names)).encode())


def _add(state: xxhash.xxh3_128, columns: Mapping[str, Sequence[Any]]) -> None:
    """Add some rows of these columns."""
    for values in zip(*columns.values(), strict=True):
        plain = [kind_of(name).plain(value) for name, value in zip(columns, values, strict=True)]
        state.update(json.dumps(plain, separators=(",", ":")).encode())
