"""Which split of a dataset belongs to which: the held-out one of a training split, and back.

Input: the plain values of a source. Output: those of the other split, None where there is none by convention.
"""

from pathlib import Path
from typing import Any

OTHER_SPLITS = {"cifar10": "test", "cifar100": "test", "imagenet": "val"}
"""what belongs to the training split of a dataset that has two"""
HELD_OUT = ("val", "validation", "test")


def held_out(spec: dict[str, Any]) -> dict[str, Any] | None:
    """The validation split that belongs to a training split, where a source has one by convention."""
    kind, split = spec.get("kind"), spec.get("split")
    if kind == "folder":
        path = Path(str(spec["path"]))
        found = [path.with_name(name) for name in HELD_OUT if path.name == "train"]
        return next(({**spec, "path": str(other)} for other in found if other.is_dir()), None)
    if kind == "few":
        return held_out(spec["of"])
    if split != "train" or kind == "hf":
        return None
    return {**{k: v for k, v in spec.items() if k != "count"}, "split": OTHER_SPLITS.get(str(kind), "val")}


def training_split(spec: dict[str, Any]) -> dict[str, Any] | None:
    """The training split that belongs to a held-out one."""
    kind, split = spec.get("kind"), spec.get("split")
    if kind == "folder":
        path = Path(str(spec["path"]))
        other = path.with_name("train")
        return {**spec, "path": str(other)} if path.name in HELD_OUT and other.is_dir() else None
    if kind == "few":
        return training_split(spec["of"])
    if split in (None, "train") or kind == "hf":
        return None
    return {**{k: v for k, v in spec.items() if k != "count"}, "split": "train"}
