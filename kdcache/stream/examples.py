"""Map examples to rows and to items of a truth.

Input: the number of items (such as questions) of each row in one truth. Output: example number -> row and item, and back. Only
two arrays of whole numbers are kept, not the truths. Without items an example is a row and nothing is kept.

Three pages with 2, 0 and 3 questions have five examples:

    example    0  1  2  3  4
    row        0  0  2  2  2
    item       0  1  0  1  2        question 2 of page 2 is example 4; page 1 has none
    starts     0  2  2  5           examples of row r are starts[r] … starts[r + 1] - 1
"""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kdcache.errors import UsageError

Rows = NDArray[np.int64]

MOST_EXAMPLES = 1 << 36
"""Most examples of one dataset: eight times the limit of rows."""


class Examples:
    """The examples of a dataset: its rows, or the items of its rows.

    `len(examples)` is their number. A row without items has no example.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        """Number of rows of the dataset."""
        self._starts: NDArray[Any] | None = None
        self._row_of: NDArray[Any] | None = None

    @classmethod
    def of_items(cls, counts: NDArray[np.integer[Any]]) -> Self:
        """Make each item an example; `counts`: number of items of each row of the dataset, in row order."""
        if len(counts) and int(counts.min()) < 0:
            row = int(np.argmin(counts))
            raise UsageError(f"row {row} has {counts[row]} items", hint="counts of items start at 0")
        total = int(counts.sum(dtype=np.int64))
        if total > MOST_EXAMPLES:
            raise UsageError(f"there are {total:,} items, at most {MOST_EXAMPLES:,} can be examples")
        examples = cls(len(counts))
        examples._starts = np.zeros(len(counts) + 1, np.min_scalar_type(total))
        np.cumsum(counts, dtype=examples._starts.dtype, out=examples._starts[1:])
        examples._row_of = np.repeat(np.arange(len(counts), dtype=np.min_scalar_type(len(counts))), counts)
        return examples

    def __len__(self) -> int:
        return self.rows if self._row_of is None else len(self._row_of)

    @property
    def has_items(self) -> bool:
        """Whether an example is an item of a row, not the row itself."""
        return self._row_of is not None

    def rows_of(self, examples: Rows) -> Rows:
        """Row of each example. Without items the given array itself is returned."""
        return examples if self._row_of is None else self._row_of[examples].astype(np.int64)

    def items_of(self, examples: Rows) -> Rows | None:
        """Number of each example's item within its row, from 0; None without items."""
        if self._row_of is None or self._starts is None:
            return None
        items: Rows = examples - self._starts[self._row_of[examples]].astype(np.int64)
        return items

    def of_rows(self, rows: Rows) -> Rows:
        """All examples of the given rows, row by row. Without items the given array itself is returned."""
        if self._starts is None:
            return rows
        first, last = self._starts[rows].astype(np.int64), self._starts[rows + 1].astype(np.int64)
        counts = last - first
        before = np.cumsum(counts) - counts
        return np.repeat(first - before, counts) + np.arange(int(counts.sum()), dtype=np.int64)

    @property
    def each(self) -> int:
        """Mean number of examples per row, rounded up; 1 without items."""
        return max(1, -(-len(self) // max(1, self.rows)))


def examples_of(cache: object, rows: int, examples: Examples | None) -> Examples:
    """The given examples, or the rows of the cache; UsageError if the examples are of a dataset with another row count."""
    if examples is None:
        return Examples(rows)
    if examples.rows != rows:
        message = f"the examples are for {examples.rows:,} rows, but {cache} has {rows:,}"
        raise UsageError(message, hint="count the items of the images of this cache, in the order of its ids")
    return examples
