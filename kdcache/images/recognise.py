"""What kind of source lies at a path, told by what is inside.

Input: an existing file or folder. Output: the plain values `open_source` takes. Every kind that can be recognised is asked in the
order of its precedence; the last of them takes any folder for a folder of images.
"""

from typing import Any

from kdcache.errors import UsageError
from kdcache.images.registry import KINDS


def recognise(path: str) -> dict[str, Any]:
    """The kind of source at a path, and the options it is read with."""
    for kind in sorted(KINDS.usable(), key=lambda kind: kind.precedence):
        found = kind.recognise(path) if kind.recognise is not None else None
        if found is not None:
            return {"kind": kind.name, **found}
    raise UsageError(
        f"{path} is no source of images",
        hint="give a folder, a .tar, or the CIFAR .tar.gz as published; other compressed tars must be unpacked",
    )
