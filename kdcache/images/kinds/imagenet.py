"""ImageNet-1k as published."""

import os
import re
from typing import TYPE_CHECKING

from kdcache.images.kind import Plain, SourceKind

if TYPE_CHECKING:
    from kdcache.images.source import Source

_SYNSET = re.compile(r"n\d{8}")


def _recognise(path: str) -> Plain | None:
    """Recognise a folder with the published training tar, or with class folders named by WordNet ids."""
    from kdcache.images.imagenet import SPLITS, find_images

    if not os.path.isdir(path):
        return None
    if os.path.isfile(os.path.join(path, SPLITS["train"])):
        return {"path": path}
    root = find_images(path, "train")
    if root is None:
        return None
    names = [entry.name for entry in os.scandir(os.path.join(root, "train")) if entry.is_dir()]
    return {"path": path} if names and all(_SYNSET.fullmatch(name) for name in names) else None


def _make(path: str, split: str = "train", order: str | None = None) -> "Source":
    from kdcache.images.imagenet import ImageNetSource

    return ImageNetSource(path, split, order)


KIND = SourceKind(
    name="imagenet",
    about="ImageNet-1k, as its tars or unpacked",
    written="imagenet:DIR",
    source=_make,
    options={"path": str, "split": str, "order": str},
    needed=("path",),
    subject="path",
    takes_split=True,
    recognise=_recognise,
    precedence=30,
    other_split="val",
)
