"""Truths of the examples in a piece, which are known without a teacher, by column name: `{"class": ClassTruth(…)}`.

Classes are tensors. Every other column is a list with one value per example, None where it is not known: the checked value of the
example's image (`text`: a str, `words`: a tuple of Word …), or if the examples are items of that column (`Needs.items`) the
example's own item, such as one Question. All examples of an image share the values of its other columns.
"""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

CLASS = "class"
"""Name of the truth column that holds class numbers."""


class ClassTruth(NamedTuple):
    """True classes of images, of which two may be mixed into one view."""

    first: "Tensor"
    """Class number of each row's image, (rows,); -1 where the class is unknown."""
    second: "Tensor"
    """Class number of the image each row is mixed with, (rows,); -1 where there is none or its class is unknown."""
    share: "Tensor"
    """Fraction of each view that comes from the first image, (rows,), 0 to 1."""
