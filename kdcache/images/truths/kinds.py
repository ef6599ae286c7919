"""The kinds of truths: the name of the column, the type of its values, and whether they have items.

Input: the plain JSON value of one image. Output: the checked value for training code: text, a number, plain nested values, or a
tuple of records. A new kind is one new entry of `KINDS`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import Field, ValidationError

from kdcache.base.strict import Strict, first_mistake
from kdcache.errors import UsageError
from kdcache.images.truths.regions import CellsTruth, LayoutTruth, WordsTruth
from kdcache.images.truths.texts import DescriptionTruth, ParseTruth, QuestionsTruth, TextTruth


class NotThatTruth(ValueError):
    """A value does not fit its column; the message tells where and why."""


class ClassTruth(Strict):
    """The class number of the image; the dataset has the names of the classes."""

    label: Annotated[int, Field(alias="class", ge=0, lt=1 << 31)]


@dataclass(frozen=True)
class Kind:
    """One kind of truth."""

    name: str
    """Name of its column."""
    record: type[Strict]
    """Record type with this one value, used to check a plain value."""
    what: str
    """A short description, for help and messages."""
    attribute: str = ""
    """Name of the value in the record, if it is not the name of the column."""
    items: bool = False
    """Whether a value is a sequence whose elements can each be an example."""
    from_listing: bool = False
    """Whether it comes from the listing of the images, and never from a file of truths."""
    plain_text: bool = False
    """Whether a file of truths stores it as plain text; other kinds are stored as JSON."""

    def check(self, value: Any) -> Any:
        """Check a value and return it as training code gets it; NotThatTruth, naming the position in it, if it does not fit."""
        try:
            record = self.record.from_plain({self.name: value})
        except ValidationError as mistakes:
            place, wanted = first_mistake(mistakes)
            raise NotThatTruth(f"{place or self.name} {wanted[:1].lower()}{wanted[1:]}") from mistakes
        except (TypeError, ValueError, RecursionError) as error:  # not a plain value at all
            raise NotThatTruth(f"{self.name} is not a plain JSON value: {error}") from error
        return getattr(record, self.attribute or self.name)

    def plain(self, value: Any) -> Any:
        """Convert a checked value back to plain JSON values."""
        if isinstance(value, tuple):
            return [each.plain() for each in value]
        return value


_ALL = (
    Kind("class", ClassTruth, "number of the image's class", attribute="label", from_listing=True),
    Kind("text", TextTruth, "all text in reading order", plain_text=True),
    Kind("parse", ParseTruth, "what the image says, as nested plain values"),
    Kind("words", WordsTruth, "words with their boxes and entity tags", items=True),
    Kind("layout", LayoutTruth, "regions with their class and a box or an outline", items=True),
    Kind("cells", CellsTruth, "cells of a table", items=True),
    Kind("description", DescriptionTruth, "a description of the image", plain_text=True),
    Kind("questions", QuestionsTruth, "questions about the image and their answers", items=True),
)
KINDS = {kind.name: kind for kind in _ALL}
"""All kinds, by name of their column."""


def kind_of(name: str) -> Kind:
    """The kind of a column; UsageError, with similar names as a hint, if there is none of that name."""
    if name not in KINDS:
        raise UsageError(f"there is no truth called {name!r}", hint=near(name, KINDS))
    return KINDS[name]


def near(name: str, known: Iterable[str]) -> str:
    """A hint for an unknown name: similar names, or all names."""
    names = list(known)
    if close := get_close_matches(name, names, 2, 0.5):
        return f"did you mean {' or '.join(close)}?"
    return f"there are {', '.join(names)}" if names else "there are none"
