"""Explain mistakes in a configuration, one line a key: what is wrong, the value, its origin, and the most similar valid key."""

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any, Protocol, get_args, get_origin, runtime_checkable

from pydantic import BaseModel, ValidationError

Place = Callable[[str], str]
"""Function from a dotted key to where its value came from."""
MOST_LINES = 50
"""How many mistakes of a configuration are listed."""


@runtime_checkable
class Known(Protocol):
    """Annotation of a field whose possible records are found in a registry."""

    def models(self) -> Iterator[type[BaseModel]]:
        """The types of all records the field may hold."""


def explain(error: ValidationError, model: type[BaseModel], origin: Place, whole: Place) -> list[str]:
    """A line for each of pydantic's mistakes, in file order, at most MOST_LINES. `whole`: the place of a group of keys."""
    found = error.errors(include_url=False)
    lines = [_line(each, model, origin, whole) for each in found[:MOST_LINES]]
    return lines if len(found) <= MOST_LINES else [*lines, f"and {len(found) - MOST_LINES:,} more"]


def _line(found: Any, model: type[BaseModel], origin: Place, whole: Place) -> str:
    group = found["type"] == "value_error" and isinstance(found["input"], dict)
    known, path = _walk(model, found["loc"], group)
    key = ".".join(path)
    if found["type"] == "extra_forbidden":
        near = get_close_matches(path[-1], known, 1)
        advice = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
        return f"{key}: unknown key; {advice} ({origin(key)})"
    if found["type"] == "missing":
        return f"{key}: missing ({origin(key.rpartition('.')[0])})"
    if group:
        sentence = found["msg"].removeprefix("Value error, ")  # the values of a group contradict each other
        return f"{key}: {sentence} ({whole(key)})" if key else f"{sentence} ({whole(key)})"
    wanted = found["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{key}: {found['input']!r} should be {wanted} ({origin(key)})"


def _walk(model: type[BaseModel], location: tuple[int | str, ...], group: bool) -> tuple[list[str], list[str]]:
    """The keys that are valid at a mistake, and its path as a user writes it (pydantic's own path includes union tags).

    `group`: the mistake concerns a whole record, so that the last step may be a union tag too.
    """
    here, path, named = [model], list[str](), False
    for depth, step in enumerate(location):
        fields = [owner.model_fields[str(step)] for owner in here if step in owner.model_fields]
        inner = [record for field in fields for part in (field.annotation, *field.metadata) for record in _models(part)]
        last = depth == len(location) - 1
        if named or (last and not group) or isinstance(step, int) or any(step in owner.model_fields for owner in here):
            path.append(str(step))
        if inner and not last:
            here = inner
        # After a field that is a dict of records, the next step is a key that the user chose.
        named = not named and any(get_origin(field.annotation) is dict for field in fields)
    return [name for owner in here for name in owner.model_fields], path


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """All record types inside a type (through Optional, Annotated, tuple and dict), and those that a registry adds there."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    if isinstance(annotation, Known):
        yield from annotation.models()
    for inner in get_args(annotation):
        yield from _models(inner)
