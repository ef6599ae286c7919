"""Recognise the kind of source at a path by its content.

Input: an existing file or folder. Output: the plain values that `open_source` takes. The kinds are tried in order of precedence;
the last one accepts every folder as a folder of images.
"""

from typing import Any

from kdcache.errors import UsageError
from kdcache.images.registry import KINDS


def recognise(path: str) -> dict[str, Any]:
    """The plain values of the source at a path: its kind and options. UsageError if no kind recognises it."""
    for kind in sorted(KINDS.usable(), key=lambda kind: kind.precedence):
        found = kind.recognise(path) if kind.recognise is not None else None
        if found is not None:
            return {"kind": kind.name, **found}
    raise UsageError(
        f"{path} is not a source of images",
        hint="give a folder, a .tar, or the CIFAR .tar.gz as published; other compressed tars must be unpacked",
    )
