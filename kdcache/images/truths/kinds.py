"""The kinds of truths there are: what a column may be called, what its values are, and which of them have items.

Input: the plain JSON value of one image. Output: the value as training code gets it, checked: text, a number, plain nested
values, or a tuple of records. A new kind is one entry of `KINDS`.
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
    """A value is not what its column holds; the message is where and why."""


class ClassTruth(Strict):
    """The number of the image's class; names of classes are those of the dataset."""

    label: Annotated[int, Field(alias="class", ge=0, lt=1 << 31)]


@dataclass(frozen=True)
class Kind:
    """One kind of truth."""

    name: str
    """What its column is called."""
    record: type[Strict]
    """The record with this one value that a plain value is read as."""
    what: str
    """What it is, for help and messages."""
    attribute: str = ""
    """Name of the value in the record, where that is not the name of the column."""
    items: bool = False
    """Whether a value is a sequence, each element of which can be an example."""
    from_listing: bool = False
    """Whether the listing of the images has it, and no other column may."""
    plain_text: bool = False
    """Whether a file of truths has it as it is; it has JSON of the others."""

    def check(self, value: Any) -> Any:
        """The value that training code gets; NotThatTruth, with the place in it, where it is not of this kind."""
        try:
            record = self.record.from_plain({self.name: value})
        except ValidationError as mistakes:
            place, wanted = first_mistake(mistakes)
            raise NotThatTruth(f"{place or self.name} {wanted[:1].lower()}{wanted[1:]}") from mistakes
        except (TypeError, ValueError, RecursionError) as error:  # no plain value at all
            raise NotThatTruth(f"{self.name} is no plain value: {error}") from error
        return getattr(record, self.attribute or self.name)

    def plain(self, value: Any) -> Any:
        """A checked value as plain JSON values again."""
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
"""Every kind by the name of its column."""


def kind_of(name: str) -> Kind:
    """The kind of a column; UsageError, with the nearest, where there is none of that name."""
    if name not in KINDS:
        raise UsageError(f"there is no truth called {name!r}", hint=near(name, KINDS))
    return KINDS[name]


def near(name: str, known: Iterable[str]) -> str:
    """The way on from a name that is not known."""
    names = list(known)
    if close := get_close_matches(name, names, 2, 0.5):
        return f"did you mean {' or '.join(close)}?"
    return f"there are {', '.join(names)}" if names else "there are none"
