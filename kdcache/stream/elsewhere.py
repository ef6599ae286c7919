"""The order of examples of one cache, with the row numbers of another cache of the same images.

Input: an order, and for each row its row in the other cache. Output: an order of the same examples with rows of the other
cache. Both share the random permutation.
"""

import numpy as np

from kdcache.stream.examples import Rows
from kdcache.stream.order import Order


class Elsewhere(Order):
    """An order with the same examples at the same positions, but with the rows of another cache.

    Example: rows 0, 1, 2 of the first cache are rows 2, 0, 1 of the other, so `rows` is 2, 0, 1. Where the first order reads
    rows 1, 2, 0, this one reads rows 0, 1, 2.
    """

    def __init__(self, order: Order, rows: Rows) -> None:
        self._order, self._rows = order, rows
        self.examples, self.count = order.examples, order.count
        self.seed, self.epoch, self.shuffle = order.seed, order.epoch, order.shuffle

    def slice(self, first: int, last: int) -> Rows:
        """Example numbers at positions first … last - 1, the same as in the first order."""
        return self._order.slice(first, last)

    def rows_of(self, examples: Rows) -> Rows:
        """Row of each example in the other cache."""
        there: Rows = self._rows[self._order.rows_of(examples)]
        return there

    def lookahead(self, position: int) -> int:
        """Where the window of `position` ends, the same as in the first order."""
        return self._order.lookahead(position)

    def window(self, position: int) -> tuple[Rows, Rows]:
        """Ascending spans of the rows that are mixed at `position`: one row each, as neighbours may be far apart here."""
        first, last = self._order.window(position)
        rows = np.concatenate([np.arange(*span) for span in zip(first, last, strict=True)])
        there = np.sort(self._rows[rows])
        return there, there + 1
