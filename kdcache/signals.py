"""Signals: what a teacher can say about one view, and the shape it has."""

from math import prod

from kdcache.strict import Strict


class Signal(Strict):
    """One named array a teacher says about a view.

    `logits` has shape (classes,), `embedding` (dim,), `features` (tokens, dim) with `grid` = (height, width) when the tokens
    lie on one. A feature map is always tokens x dim, rows of the grid first. A named layer keeps its own name.
    """

    name: str
    shape: tuple[int, ...]
    grid: tuple[int, int] | None = None

    @property
    def size(self) -> int:
        """Numbers in one row."""
        return prod(self.shape)
