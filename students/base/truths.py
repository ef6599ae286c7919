"""What is known of the examples of a piece without any teacher, by the name of its column: `{"class": ClassTruth(…)}`."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

CLASS = "class"
"""The column of class numbers."""


class ClassTruth(NamedTuple):
    """True classes of images, of which two may be mixed into one view."""

    first: "Tensor"
    """(rows,) class number; -1 where nobody knows it."""
    second: "Tensor"
    """(rows,) class number of the image it is mixed with; -1 where it is mixed with none."""
    share: "Tensor"
    """(rows,) share of the first in the view, 0 to 1."""
