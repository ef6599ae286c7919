"""Find the held-out split that belongs to a training split, and the reverse.

Input: the plain values of a source. Output: those of the other split, or None if the kind of the source declares no such
convention.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdcache.images.registry import kind_of

TRAIN = "train"
HELD_OUT = ("val", "validation", "test")


def held_out(spec: Mapping[str, Any]) -> dict[str, Any] | None:
    """The validation split that belongs to a training split."""
    if isinstance(spec.get("of"), Mapping):  # students of `few:` are evaluated on the whole other split
        return held_out(spec["of"])
    kind = kind_of(spec)
    if kind is not None and kind.splits_are_folders:
        path = Path(str(spec["path"]))
        found = [path.with_name(name) for name in HELD_OUT if path.name == TRAIN]
        return next(({**spec, "path": str(other)} for other in found if other.is_dir()), None)
    if kind is None or kind.other_split is None or spec.get("split") != TRAIN:
        return None
    return {**_whole(spec), "split": kind.other_split}


def training_split(spec: Mapping[str, Any]) -> dict[str, Any] | None:
    """The training split that belongs to a held-out one."""
    if isinstance(spec.get("of"), Mapping):
        return training_split(spec["of"])
    kind = kind_of(spec)
    if kind is not None and kind.splits_are_folders:
        path = Path(str(spec["path"]))
        other = path.with_name(TRAIN)
        return {**spec, "path": str(other)} if path.name in HELD_OUT and other.is_dir() else None
    if kind is None or kind.other_split is None or spec.get("split") in (None, TRAIN):
        return None
    return {**_whole(spec), "split": TRAIN}


def split_not_named(plain: Mapping[str, Any], source: Mapping[str, Any]) -> str | None:
    """The spec of the other split, if the user named no split. `plain`: the user's values; `source`: those that are used."""
    kind = kind_of(source)
    if kind is None or not kind.takes_split or kind.other_split is None or plain.get("split"):
        return None
    return f"{kind.name}:{source[kind.subject]}:{kind.other_split}"


def _whole(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The plain values without `count`, which applies to one split only."""
    return {key: value for key, value in spec.items() if key != "count"}
