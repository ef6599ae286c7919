"""Describe the differences between two records for a user."""

from typing import Any

_SHOWN = 60


def differences(ours: Any, theirs: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """All leaves in which two plain JSON values differ: (dotted path, value in the first, value in the second)."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        keys = [*ours, *(k for k in theirs if k not in ours)]
        pairs = [(f"{path}.{k}" if path else k, ours.get(k), theirs.get(k)) for k in keys]
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = [(f"{path}[{i}]", a, b) for i, (a, b) in enumerate(zip(ours, theirs, strict=True))]
    else:
        return [] if ours == theirs else [(path, ours, theirs)]
    return [found for name, a, b in pairs for found in differences(a, b, name)]


def described(found: list[tuple[str, Any, Any]], *, most: int = 3) -> str:
    """The first differences as one line: `views.seed is 0 there, 1 here; …`."""
    lines = [f"{path} is {_short(ours)} there, {_short(theirs)} here" for path, ours, theirs in found[:most]]
    rest = len(found) - most
    return "; ".join(lines) + (f"; and {rest} more" if rest > 0 else "")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
