"""Signals: the named arrays a teacher emits about one view, what kind of numbers they are, and what their axes are.

Code asks a signal for its kind and its axes, never for its name. Plans written before signals had either are read by one rule,
`usual_kind`, and a signal that is what this rule makes of it is written as it always was.
"""

import re
from math import prod
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from kdcache.base.limits import AXES, NAME_LETTERS, VOCABULARY
from kdcache.base.strict import Strict

Kind = Literal["distribution", "map", "vector", "codes"]
"""What the numbers of a signal are.

`distribution`: logits, from which a softmax over the last axis makes probabilities. `map`: a row of channels at every token.
`vector`: one row of channels. `codes`: whole numbers, such as token ids or the codebook entries of a quantiser.
"""
KINDS: tuple[Kind, ...] = get_args(Kind)

_LOGITS = "logits"
_USUAL_AXES: dict[Kind, tuple[str, str]] = {
    "distribution": ("position", "class"),
    "map": ("token", "channel"),
    "vector": ("position", "channel"),
    "codes": ("position", "codebook"),
}
"""What the first axes of each kind are usually called, and its last one."""

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
NAMES = f"letters, digits, '_', '-' and '.', not '.' first, {NAME_LETTERS} at most"


def is_name(text: str) -> bool:
    """Whether a signal may be called so: its name becomes that of folders and datasets."""
    return len(text) <= NAME_LETTERS and _NAME.fullmatch(text) is not None


def _named(text: str) -> str:
    if not is_name(text):
        raise ValueError(f"a signal cannot be called {text[:NAME_LETTERS]!r}: {NAMES}")
    return text


def usual_kind(name: str, dimensions: int) -> Kind:
    """The kind of a signal of which nothing but a name and a shape is known, as in every cache of the first edition."""
    if name == _LOGITS and dimensions == 1:
        return "distribution"
    return "vector" if dimensions == 1 else "map"


def usual_axes(kind: Kind, dimensions: int) -> tuple[str, ...]:
    """What the axes of a signal are called when nobody says: `token, channel`; further first axes are numbered."""
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
    """One named array a teacher emits about a view.

    logits      (classes,)             distribution over (class)
    embedding   (channels,)            vector
    features    (tokens, channels)     map; `grid` = (height, width) where the tokens lie on one, rows of the grid first
    answers     (positions, classes)   distribution over (position, class), with `lengths`: each row has its own number
                                       of positions, `shape` has the most there can be
    words       (positions,)           codes below `vocabulary`
    """

    name: Name
    shape: Annotated[tuple[Length, ...], Field(min_length=1, max_length=AXES)]
    grid: tuple[Length, Length] | None = None
    kind: Kind = Field(default_factory=_kind_of)
    """What its numbers are; where nobody says, what `usual_kind` makes of name and shape."""
    axes: tuple[Name, ...] = Field(default_factory=_axes_of)
    """What each axis of `shape` stands for; where nobody says, what `usual_axes` calls them."""
    lengths: bool = False
    """Whether rows differ in how much of their first axis they fill. `shape` then has the greatest length there can be."""
    vocabulary: Annotated[int, Field(ge=1, le=VOCABULARY)] | None = None
    """Number of different `codes`: each is one of 0 to vocabulary - 1. None for other kinds."""

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        dimensions = len(self.shape)
        if len(self.axes) != dimensions or len(set(self.axes)) != dimensions:
            raise ValueError(
                f"a shape of {dimensions} axes needs {dimensions} different names, axes has {len(self.axes)}"
            )
        if (self.kind == "vector") != (dimensions == 1) and self.kind in ("vector", "map"):
            raise ValueError(f"a {self.kind} has {'one axis' if self.kind == 'vector' else 'two axes or more'}")
        if (self.kind == "codes") != (self.vocabulary is not None):
            raise ValueError("`vocabulary` is for codes, which cannot be without it")
        if self.lengths and (self.grid is not None or (self.kind == "distribution" and dimensions == 1)):
            lacks = "its tokens lie on a grid" if self.grid else "every row has all classes"
            raise ValueError(f"`lengths` cannot be: {lacks}")
        return self

    @model_serializer(mode="wrap")
    def _as_ever(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Fields that came later are written where they say something that does not follow from the others."""
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
        """Numbers in one row, absent ones included."""
        return prod(self.shape)

    @property
    def classes(self) -> int:
        """Length of the last axis: of a distribution, how many classes it is over."""
        return self.shape[-1]

    @property
    def dtype(self) -> str:
        """numpy name of its values in memory: int64 for codes, float32 for everything else."""
        return "int64" if self.kind == "codes" else "float32"

    @property
    def names_classes(self) -> bool:
        """Whether it is one distribution over classes for the whole view, as a classifier emits it."""
        return self.kind == "distribution" and self.axes == ("class",)

    def shape_text(self) -> str:
        """Its shape for people: 49×1024, or ≤128×57525 where rows differ in length."""
        return ("≤" if self.lengths else "") + "×".join(map(str, self.shape))
