"""Names and paths of sources: short names for messages, ids that stay inside their folder, folders that must exist."""

import os
import re
from pathlib import Path

from kdcache.errors import BadImage, Unavailable

SPLITS = ("train", "val", "valid", "validation", "test", "dev")
"""folder names that say which share of a dataset, not which class"""


def short_name(path: str) -> str:
    """A name for a folder or file that can itself name a folder: `flowers`, or `flowers-train` for `flowers/train`."""
    place = Path(path)
    parts = [place.name]
    if place.name.lower() in SPLITS and place.parent.name:
        parts.insert(0, place.parent.name)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(parts)).strip("-.")
    return name or "images"


def existing(path: str, what: str) -> str:
    """The absolute path of something that must be there."""
    absolute = os.path.abspath(os.path.expanduser(path))
    if not os.path.exists(absolute):
        raise Unavailable(f"no such {what}: {absolute}", hint="check the path, and that the disk is mounted")
    return absolute


def inside(root: str, image_id: str) -> bytes:
    """The path of an image id below a folder. BadImage when the id would lead anywhere else."""
    parts = image_id.split("/")
    if "\0" in image_id or any(part in ("", ".", "..") for part in parts):
        raise BadImage(f"image id {image_id!r} leads out of its folder")
    try:
        return os.path.join(os.fsencode(root), image_id.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise BadImage(f"image id {image_id!r} is not UTF-8") from error
