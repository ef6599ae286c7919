"""The order of one cache as rows of another cache of the same images.

Input: an order, and the row in the other cache of each row of this one. Output: an order of the same examples whose rows are
those of the other cache. It shares what the first has drawn.
"""

import numpy as np

from kdcache.stream.examples import Rows
from kdcache.stream.order import Order


class Elsewhere(Order):
    """The same examples at the same positions; only their rows are others.

    Page 0 of the first cache is row 2 of this one, page 1 is row 0, page 2 is row 1: `rows` is 2, 0, 1, and where the first
    reads rows 1, 2, 0, this one reads rows 0, 1, 2.
    """

    def __init__(self, order: Order, rows: Rows) -> None:
        self._order, self._rows = order, rows
        self.examples, self.count = order.examples, order.count
        self.seed, self.epoch, self.shuffle = order.seed, order.epoch, order.shuffle

    def slice(self, first: int, last: int) -> Rows:
        """Example numbers at positions first … last - 1, as the first order has them."""
        return self._order.slice(first, last)

    def rows_of(self, examples: Rows) -> Rows:
        """Row of each example in the other cache."""
        there: Rows = self._rows[self._order.rows_of(examples)]
        return there

    def lookahead(self, position: int) -> int:
        """Where the window of `position` ends, as in the first order."""
        return self._order.lookahead(position)

    def window(self, position: int) -> tuple[Rows, Rows]:
        """Ascending spans, a row each, of what is mixed at `position`: neighbours of the first cache lie anywhere in this one."""
        first, last = self._order.window(position)
        rows = np.concatenate([np.arange(*span) for span in zip(first, last, strict=True)])
        there = np.sort(self._rows[rows])
        return there, there + 1
