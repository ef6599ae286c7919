"""A dataset of Hugging Face's library `datasets`."""

import os

from kdcache.images.kind import Plain, SourceKind


def _recognise(path: str) -> Plain | None:
    """Recognise a folder written by `save_to_disk`."""
    from kdcache.images.hub import saved_to_disk

    return {"name": os.path.abspath(path)} if os.path.isdir(path) and saved_to_disk(path) else None


KIND = SourceKind(
    name="hf",
    about="a Hugging Face dataset, on the Hub or saved to disk",
    written="hf:NAME",
    source="kdcache.images.hub:HubSource",
    options={"name": str, "config": str, "revision": str, "image": str, "label": str, "id": str, "split": str},
    needed=("name",),
    subject="name",
    takes_split=True,
    recognise=_recognise,
    precedence=10,
)
