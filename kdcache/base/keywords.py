"""Keyword arguments of the Python functions behind the commands: what a command line writes as one word may be a list or a
mapping here."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

Names = str | Sequence[str]
"""One name, a list of names, or several names as a command line writes them: `a,b`."""
Settings = Mapping[str, Any] | Sequence[str]
"""Values that replace those of a recipe: {"objective.tail": "bucket"}, or ["objective.tail=bucket"] as `--set` takes it."""


def names(given: Names | None) -> tuple[str, ...]:
    """The names as a tuple; empty for None."""
    if isinstance(given, str):
        return tuple(item.strip() for item in given.split(",") if item.strip())
    return tuple(given or ())


def settings(given: Settings | None) -> tuple[str, ...]:
    """The settings as `KEY=VALUE` texts, each value written as YAML."""
    if isinstance(given, Mapping):
        return tuple(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in given.items())
    return tuple(given or ())


def text(path: Any) -> str | None:
    """A path or a name as text; None stays None."""
    return None if path is None else str(path)
