"""Images in a folder tree.

Input: a folder. Output: a source whose ids are the paths below it. If every image lies in some first-level folder, those
folders are the classes, numbered by name (empty ones too, as in torchvision), unless they are called train, val or test,
which are splits and not classes. Rows are in torchvision's order, too (see order.py).
"""

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcache.errors import BadImage, Unavailable, UsageError
from kdcache.images.listing import Lister
from kdcache.images.order import NAMES, NO_CLASSES, check_order, order_doubt
from kdcache.images.paths import SPLITS, existing, inside, short_name
from kdcache.images.source import UNLABELLED, Listing
from kdcache.images.truths.sidecar import Sidecar
from kdcache.images.walk import Walk

MAX_FILE_BYTES = 1 << 30
"""Largest image file that is read, in bytes; no image within the pixel limit needs more."""


class FolderSource:
    """Image files below one folder."""

    def __init__(self, path: str, order: str | None = NAMES) -> None:
        self._root, self._order = existing(path, "folder"), check_order(order)
        if not os.path.isdir(self._root):
            raise UsageError(f"{self._root} is not a folder", hint="give the folder that holds the images")
        self._sidecar = Sidecar(self._root)
        self.skipped: dict[str, int] = {}
        """Number of files that the last scan skipped, by file extension."""

    @property
    def name(self) -> str:
        """The folder's own name."""
        return short_name(self._root)

    def spec(self) -> dict[str, Any]:
        """The plain values from which `open_source` makes this source again."""
        return {"kind": "folder", "path": self._root, **({"order": self._order} if self._order else {})}

    def scan(self) -> Listing:
        """Walk the tree once. UsageError when there is no image in it."""
        walk, lister, flat = Walk(self._root, self._order), Lister(), False
        for image_id, size in walk:
            folder, slash, _ = image_id.partition("/")
            flat = flat or not slash
            lister.add(image_id, size, walk.top[folder] if slash else UNLABELLED)
        self.skipped = dict(walk.skipped)
        if not len(lister):
            raise UsageError(
                f"no images in {self._root}{self._what_there_is()}", hint="give the folder that holds them"
            )
        labelled = not flat and not all(name.lower() in SPLITS for name in walk.top)
        listing = lister.finish(labelled=labelled, classes=tuple(walk.top) if labelled else None)
        doubt = order_doubt(by_names=walk.by_names, disputed=walk.disputed) if labelled else NO_CLASSES
        return replace(listing, order_doubt=doubt)

    def _what_there_is(self) -> str:
        left_out = ", ".join(f"{count} {ending}" for ending, count in sorted(self.skipped.items())[:5])
        return f" (skipped: {left_out})" if left_out else ""

    def read(self, image_id: str) -> bytes | NDArray[np.uint8]:
        """The bytes of one file."""
        return read_file(self._root, image_id)

    def truths(self) -> tuple[str, ...]:
        """Names of the truth columns in `truths.arrow` or `truths.jsonl` in the folder."""
        return self._sidecar.columns

    def read_truths(self, names: Sequence[str], ids: Sequence[str]) -> Mapping[str, Sequence[Any]]:
        """Plain values of some images, by column."""
        return self._sidecar.read(names, ids)


def read_file(root: str, image_id: str) -> bytes:
    """The bytes of the file that an id names below a folder; an id cannot name a file outside it."""
    path = inside(root, image_id)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            return _read(handle)
        finally:
            os.close(handle)
    except (FileNotFoundError, NotADirectoryError) as error:
        if not os.path.isdir(root):
            raise Unavailable(f"{root} no longer exists", hint="check that the disk is mounted") from error
        raise BadImage("file is missing") from error
    except PermissionError as error:
        raise BadImage("permission denied") from error
    except OSError as error:
        raise Unavailable(f"cannot read {os.fsdecode(path)}: {error.strerror}", hint="check the disk") from error


def _read(handle: int) -> bytes:
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        raise BadImage("not a file")
    if status.st_size > MAX_FILE_BYTES:
        raise BadImage(f"{status.st_size} bytes are more than {MAX_FILE_BYTES}")
    pieces = [os.read(handle, status.st_size)]
    while pieces[-1] and sum(map(len, pieces)) < status.st_size:
        pieces.append(os.read(handle, status.st_size))
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
