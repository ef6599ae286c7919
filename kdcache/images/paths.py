"""Helpers for names and paths of sources: short names, folders of splits, ids that must stay inside their folder."""

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdcache.errors import BadImage, Unavailable
from kdcache.images.registry import kind_of

SPLITS = ("train", "val", "valid", "validation", "test", "dev")
"""Names of folders that are splits of a dataset, not classes."""


def inner_splits(source: Mapping[str, Any]) -> list[Path]:
    """The split folders of a folder source that contains nothing else, the training split first; otherwise none."""
    kind = kind_of(source)
    if kind is None or not kind.splits_are_folders:
        return []
    inside = sorted(path for path in Path(str(source["path"])).glob("*/"))
    if not all(path.name.lower() in SPLITS for path in inside):
        return []
    return sorted(inside, key=lambda path: SPLITS.index(path.name.lower()))


def no_labels_hint(source: Mapping[str, Any], otherwise: str) -> str:
    """Hint for images without labels: to give one of the splits, if the given folder holds splits; else `otherwise`."""
    splits = inner_splits(source)
    return f"it holds splits, which are no classes: give --data {shlex.quote(str(splits[0]))}" if splits else otherwise


def short_name(path: str) -> str:
    """A short name for a path, usable as a folder name: `flowers`, or `flowers-train` for `flowers/train`."""
    place = Path(path)
    parts = [place.name]
    if place.name.lower() in SPLITS and place.parent.name:
        parts.insert(0, place.parent.name)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(parts)).strip("-.")
    return name or "images"


def existing(path: str, what: str) -> str:
    """The absolute path of a file or folder; Unavailable if it does not exist."""
    absolute = os.path.abspath(os.path.expanduser(path))
    if not os.path.exists(absolute):
        raise Unavailable(f"no such {what}: {absolute}", hint="check the path, and that the disk is mounted")
    return absolute


def inside(root: str, image_id: str) -> bytes:
    """The path of an image id below a folder; BadImage if the id would lead out of that folder."""
    parts = image_id.split("/")
    if "\0" in image_id or any(part in ("", ".", "..") for part in parts):
        raise BadImage(f"image id {image_id!r} leads out of its folder")
    try:
        return os.path.join(os.fsencode(root), image_id.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise BadImage(f"image id {image_id!r} is not UTF-8") from error
