"""Signals: the named arrays that a teacher emits about a view, with their kind and their axes.

Code decides by a signal's kind and axes, never by its name. In plans of earlier versions signals have neither; the rule
`usual_kind` supplies them, and signals that follow this rule are still written in the old form.
"""

import re
from math import prod
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from kdcache.base.limits import AXES, NAME_LETTERS, VOCABULARY
from kdcache.base.strict import Strict

Kind = Literal["distribution", "map", "vector", "codes"]
"""What kind of numbers a signal has.

`distribution`: logits, which a softmax over the last axis turns into probabilities. `map`: a vector of channels for each
token. `vector`: one vector of channels. `codes`: whole numbers, such as token ids or the codebook entries of a quantiser.
"""
KINDS: tuple[Kind, ...] = get_args(Kind)

_LOGITS = "logits"
_USUAL_AXES: dict[Kind, tuple[str, str]] = {
    "distribution": ("position", "class"),
    "map": ("token", "channel"),
    "vector": ("position", "channel"),
    "codes": ("position", "codebook"),
}
"""Default names of the axes of each kind: of its first axes, and of its last axis."""

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
NAMES = f"letters, digits, '_', '-' and '.', not '.' first, {NAME_LETTERS} at most"


def is_name(text: str) -> bool:
    """Whether a text is allowed as a signal's name, which is also used for folders and datasets."""
    return len(text) <= NAME_LETTERS and _NAME.fullmatch(text) is not None


def _named(text: str) -> str:
    if not is_name(text):
        raise ValueError(f"a signal cannot be called {text[:NAME_LETTERS]!r}: {NAMES}")
    return text


def usual_kind(name: str, dimensions: int) -> Kind:
    """The kind of a signal of which only name and shape are known, as in caches of the first version."""
    if name == _LOGITS and dimensions == 1:
        return "distribution"
    return "vector" if dimensions == 1 else "map"


def usual_axes(kind: Kind, dimensions: int) -> tuple[str, ...]:
    """Default names of a signal's axes: `token, channel`; additional first axes are numbered."""
    lead, last = _USUAL_AXES[kind]
    if dimensions == 1:
        return (lead if kind == "codes" else last,)
    return (*([lead] if dimensions == 2 else [f"{lead}{number}" for number in range(1, dimensions)]), last)


def _kind_of(fields: dict[str, Any]) -> Any:
    return usual_kind(fields.get("name", ""), len(fields.get("shape", ())))


def _axes_of(fields: dict[str, Any]) -> Any:
    return usual_axes(fields.get("kind", "map"), len(fields.get("shape", ())))


Length = Annotated[int, Field(ge=1)]
Name = Annotated[str, AfterValidator(_named)]


class Signal(Strict):
    """One named array that a teacher emits about a view.

    logits      (classes,)             distribution over (class)
    embedding   (channels,)            vector
    features    (tokens, channels)     map; `grid` = (height, width) if the tokens form a grid, listed row by row
    answers     (positions, classes)   distribution over (position, class), with `lengths`: each row has its own number
                                       of positions, `shape` has the maximal number
    words       (positions,)           codes below `vocabulary`
    """

    name: Name
    shape: Annotated[tuple[Length, ...], Field(min_length=1, max_length=AXES)]
    grid: tuple[Length, Length] | None = None
    kind: Kind = Field(default_factory=_kind_of)
    """Kind of its numbers; by default `usual_kind` derives it from name and shape."""
    axes: tuple[Name, ...] = Field(default_factory=_axes_of)
    """Names of the axes of `shape`; by default from `usual_axes`."""
    lengths: bool = False
    """Whether rows have different lengths along their first axis. `shape` then has the maximal length."""
    vocabulary: Annotated[int, Field(ge=1, le=VOCABULARY)] | None = None
    """Number of different `codes`: each is one of 0 to vocabulary - 1. None for other kinds."""

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        dimensions = len(self.shape)
        if len(self.axes) != dimensions or len(set(self.axes)) != dimensions:
            raise ValueError(
                f"a shape with {dimensions} axes needs {dimensions} different names, but `axes` has {len(self.axes)}"
            )
        if (self.kind == "vector") != (dimensions == 1) and self.kind in ("vector", "map"):
            raise ValueError(f"a {self.kind} has {'one axis' if self.kind == 'vector' else 'two axes or more'}")
        if (self.kind == "codes") != (self.vocabulary is not None):
            raise ValueError("`vocabulary` is required for codes, and not allowed for other kinds")
        if self.lengths and (self.grid is not None or (self.kind == "distribution" and dimensions == 1)):
            lacks = "its tokens lie on a grid" if self.grid else "every row has all classes"
            raise ValueError(f"`lengths` cannot be: {lacks}")
        return self

    @model_serializer(mode="wrap")
    def _leave_out_unused(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Fields that were added later are only written if their value does not follow from the others."""
        usual = {
            "kind": usual_kind(self.name, len(self.shape)),
            "axes": usual_axes(self.kind, len(self.shape)),
            "lengths": False,
            "vocabulary": None,
        }
        return {
            name: value
            for name, value in write(self).items()
            if name not in usual or getattr(self, name) != usual[name]
        }

    @property
    def size(self) -> int:
        """Number of values in one row, including padding."""
        return prod(self.shape)

    @property
    def classes(self) -> int:
        """Length of the last axis: for a distribution, its number of classes."""
        return self.shape[-1]

    @property
    def dtype(self) -> str:
        """Numpy type of its values in memory: int64 for codes, float32 for all other kinds."""
        return "int64" if self.kind == "codes" else "float32"

    @property
    def names_classes(self) -> bool:
        """Whether it is one distribution over classes for the whole view, as from a classifier."""
        return self.kind == "distribution" and self.axes == ("class",)

    def shape_text(self) -> str:
        """The shape for people: 49×1024, or ≤128×57525 if rows differ in length."""
        return ("≤" if self.lengths else "") + "×".join(map(str, self.shape))
