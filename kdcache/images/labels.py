"""Collect labels one at a time, given as numbers or as names.

Input: one value an image. Output: int32 labels and class names. Numbers are kept; names are numbered in sorted order once all are
known. A source that mixes the two is refused, because the number of a name would be undefined.
"""

from array import array
from dataclasses import replace

import numpy as np

from kdcache.errors import UsageError
from kdcache.images.listing import Lister
from kdcache.images.source import UNLABELLED, Listing

_MAX = 2**31 - 1


class Labels:
    """Collects the labels of all images, in row order."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._names: dict[str, int] = {}
        self._numbered = False
        self._rows: array[int] = array("i")

    def add(self, value: object, place: str) -> None:
        """Add a label: an integer, a name, or None for no label. `place`: where it is from, for error messages."""
        if isinstance(value, str):
            number = self._names.setdefault(value, len(self._names))
        elif isinstance(value, int) and not isinstance(value, bool) and UNLABELLED <= value <= _MAX:
            number, self._numbered = value, self._numbered or value != UNLABELLED
        elif value is None:
            number = UNLABELLED
        else:
            raise UsageError(
                f"label {value!r} of {place} is neither a class number nor a name",
                hint="labels are integers from 0, or class names",
            )
        self._rows.append(number)
        if self._names and self._numbered:
            raise UsageError(
                f"{self._source} has class numbers and class names: {place} has {value!r}",
                hint="use one of the two in all records",
            )

    def finish(self, lister: Lister, classes: tuple[str, ...] | None = None) -> Listing:
        """The listing with these labels, or without labels if no image has one. `classes`: class names, by number."""
        listing = lister.finish(labelled=False)
        rows = np.array(self._rows, np.int32)
        if not (rows != UNLABELLED).any():
            return listing
        if not self._names:
            return replace(listing, labels=rows, classes=classes)
        names = sorted(self._names)
        number = {self._names[name]: place for place, name in enumerate(names)}
        renumbered = np.array([number[old] for old in range(len(number))] + [UNLABELLED], np.int32)
        return replace(listing, labels=renumbered[rows], classes=tuple(names))
