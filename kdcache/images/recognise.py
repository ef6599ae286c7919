"""What kind of source lies at a path, told by what is inside.

Input: an existing file or folder. Output: the plain values `open_source` takes. In this order: a tar; a published CIFAR archive;
a folder written by `save_to_disk`; CIFAR's own folders; ImageNet's layout; a folder of tars; else a folder of images.
"""

import os
import re
from typing import Any

from kdcache.errors import UsageError
from kdcache.images.formats import EXTENSIONS

_SYNSET = re.compile(r"n\d{8}")


def recognise(path: str) -> dict[str, Any]:
    """The kind of source at a path, and the path."""
    return _file(path) if os.path.isfile(path) else _folder(path)


def _file(path: str) -> dict[str, Any]:
    if path.endswith(".tar"):
        return {"kind": "tar", "pattern": path}
    if path.endswith((".tar.gz", ".tgz")):
        from kdcache.images.cifar import EDITIONS, find_edition

        for kind in EDITIONS:
            if find_edition(kind, path):
                return {"kind": kind, "path": path}
    raise UsageError(
        f"{path} is no source of images",
        hint="give a folder, a .tar, or the CIFAR .tar.gz as published; other compressed tars must be unpacked",
    )


def _folder(path: str) -> dict[str, Any]:
    from kdcache.images.cifar import EDITIONS, find_edition
    from kdcache.images.hub import saved_to_disk

    if saved_to_disk(path):
        return {"kind": "hf", "name": os.path.abspath(path)}
    for kind in EDITIONS:
        if find_edition(kind, path):
            return {"kind": kind, "path": path}
    if _is_imagenet(path):
        return {"kind": "imagenet", "path": path}
    if _holds_tars(path):
        return {"kind": "tar", "pattern": path}
    return {"kind": "folder", "path": path}


def _is_imagenet(path: str) -> bool:
    from kdcache.images.imagenet import SPLITS, find_images

    if os.path.isfile(os.path.join(path, SPLITS["train"])):
        return True
    root = find_images(path, "train")
    if root is None:
        return False
    names = [entry.name for entry in os.scandir(os.path.join(root, "train")) if entry.is_dir()]
    return bool(names) and all(_SYNSET.fullmatch(name) for name in names)


def _holds_tars(path: str) -> bool:
    endings = {os.path.splitext(entry.name)[1][1:].lower() for entry in os.scandir(path)}
    return "tar" in endings and not endings & EXTENSIONS
