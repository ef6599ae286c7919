"""A folder of images."""

import os
from typing import TYPE_CHECKING

from kdcache.images.kind import Plain, SourceKind

if TYPE_CHECKING:
    from kdcache.images.source import Source


def _recognise(path: str) -> Plain | None:
    return {"path": path} if os.path.isdir(path) else None


def _make(path: str, order: str | None = None) -> "Source":
    from kdcache.images.folder import FolderSource

    return FolderSource(path, order)


KIND = SourceKind(
    name="folder",
    about="a folder of images, whose first level of folders are the classes",
    written="folder:DIR",
    source=_make,
    options={"path": str, "order": str},
    needed=("path",),
    subject="path",
    recognise=_recognise,
    precedence=100,  # every folder matches, so this kind is tried last
    splits_are_folders=True,
)
