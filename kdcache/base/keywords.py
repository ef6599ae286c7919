"""Keyword arguments of the Python functions that stand beside the commands: what a command line writes as one word is a list or a
table here."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

Names = str | Sequence[str]
"""One name, several in a list, or several as a command line writes them: `a,b`."""
Settings = Mapping[str, Any] | Sequence[str]
"""Values that replace those of a recipe: {"objective.tail": "bucket"}, or ["objective.tail=bucket"] as `--set` takes it."""


def names(given: Names | None) -> tuple[str, ...]:
    """Each name by itself; none where none is given."""
    if isinstance(given, str):
        return tuple(item.strip() for item in given.split(",") if item.strip())
    return tuple(given or ())


def settings(given: Settings | None) -> tuple[str, ...]:
    """KEY=VALUE each, the value as YAML has it."""
    if isinstance(given, Mapping):
        return tuple(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in given.items())
    return tuple(given or ())


def text(path: Any) -> str | None:
    """A path or a name as text; None stays None."""
    return None if path is None else str(path)
