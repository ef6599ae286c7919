"""Signals: what a teacher can say about one view, and the shape it has."""

import re
from math import prod
from typing import Annotated

from pydantic import AfterValidator, Field

from kdcache.base.limits import AXES, NAME_LETTERS
from kdcache.base.strict import Strict

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
NAMES = f"letters, digits, '_', '-' and '.', not '.' first, {NAME_LETTERS} at most"


def is_name(text: str) -> bool:
    """Whether a signal may be called so: its name becomes that of folders and datasets."""
    return len(text) <= NAME_LETTERS and _NAME.fullmatch(text) is not None


def _named(text: str) -> str:
    if not is_name(text):
        raise ValueError(f"a signal cannot be called {text[:NAME_LETTERS]!r}: {NAMES}")
    return text


Length = Annotated[int, Field(ge=1)]


class Signal(Strict):
    """One named array a teacher says about a view.

    `logits` has shape (classes,), `embedding` (dim,), `features` (tokens, dim) with `grid` = (height, width) when the tokens
    lie on one. A feature map is always tokens x dim, rows of the grid first. A named layer keeps its own name.
    """

    name: Annotated[str, AfterValidator(_named)]
    shape: Annotated[tuple[Length, ...], Field(min_length=1, max_length=AXES)]
    grid: tuple[Length, Length] | None = None

    @property
    def size(self) -> int:
        """Numbers in one row."""
        return prod(self.shape)
