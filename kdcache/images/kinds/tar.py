"""Tar shards."""

import os

from kdcache.images.kind import Plain, SourceKind


def _recognise(path: str) -> Plain | None:
    """Recognise a tar, or a folder with tars but no images."""
    from kdcache.images.formats import EXTENSIONS

    if os.path.isfile(path):
        return {"pattern": path} if path.endswith(".tar") else None
    endings = {os.path.splitext(entry.name)[1][1:].lower() for entry in os.scandir(path)}
    return {"pattern": path} if "tar" in endings and not endings & EXTENSIONS else None


KIND = SourceKind(
    name="tar",
    about="images in tar shards, as WebDataset writes them",
    written="tar:GLOB",
    source="kdcache.images.tar:TarSource",
    options={"pattern": str},
    needed=("pattern",),
    subject="pattern",
    recognise=_recognise,
    precedence=90,  # a folder of tars may be ImageNet as published
)
