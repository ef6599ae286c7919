"""Lists the image files below a folder, in byte order, one folder in memory at a time.

Input: a folder. Output: (id, size) pairs; an id is the path below the folder with `/` between its parts.

- Order: by the bytes of the id. Sorting each folder with `/` added to the names of folders gives exactly that.
- Hidden files and folders (a leading dot) are skipped.
- Files whose ending is not an image's are skipped and counted by ending. Content decides how a file is read, its name only
  whether it is listed.
- Links are followed, to files and to folders: a folder of links is a usual way to make a subset. A link to a folder that the
  walk is already inside would never end and is an error, and so is one that leads to itself, or that leads to a folder for the
  101st time: links to links fan out. A link to nothing is listed with size -1; reading it fails, so it is recorded as rejected.
- A name that is not UTF-8 cannot be an image id and is an error.
"""

import errno
import os
import stat
from collections import Counter
from collections.abc import Iterator

from kdcache.errors import Unavailable, UsageError
from kdcache.images.formats import EXTENSIONS

BROKEN_LINK = -1
MOST_WAYS = 100
"""times that one folder may be reached by way of links"""
MOST_LEVELS = 200
"""folders inside one another"""
_ENDINGS = frozenset(e.encode() for e in EXTENSIONS)
_Inode = tuple[int, int]
_Entry = tuple[bytes, int | None, bool]
"""name and size of a file; name with `/` and None for a folder; whether it is a link"""


class Walk:
    """One pass over a folder tree."""

    def __init__(self, root: str) -> None:
        self._root = os.fsencode(root)
        self.skipped: Counter[str] = Counter()
        """files left out, by ending"""
        self.top: dict[str, int] = {}
        """folders at the top, numbered in order; complete before the first image comes"""
        self._ways: Counter[_Inode] = Counter()
        """times that a folder was reached by way of a link; the others are not counted, as there may be many"""

    def __iter__(self) -> Iterator[tuple[str, int]]:
        yield from self._below(b"", (), None)

    def _below(self, folder: bytes, above: tuple[_Inode, ...], link: bytes | None) -> Iterator[tuple[str, int]]:
        """`link`: the last one on the way."""
        here = self._inode(folder, above)
        if link is not None:
            self._count_way(here, link)
        prefix = _text(folder, self._root) if folder else ""
        entries = self._entries(folder)
        if not folder:
            names = (name[:-1] for name, size, _ in entries if size is None)
            self.top = {_text(name, self._root): number for number, name in enumerate(names)}
        for name, size, linked in entries:
            if size is None:
                inside = folder + name
                yield from self._below(inside, (*above, here), inside if linked else link)
            else:
                yield prefix + _text(name, self._root + b"/" + folder), size

    def _inode(self, folder: bytes, above: tuple[_Inode, ...]) -> _Inode:
        path = os.path.join(self._root, folder)
        try:
            status = os.stat(path)
        except OSError as error:
            raise _unlisted(path, error) from error
        here = (status.st_dev, status.st_ino)
        if here in above:
            raise UsageError(f"{os.fsdecode(path)} leads back to a folder it lies in", hint="remove that link")
        if len(above) > MOST_LEVELS:
            message = f"{os.fsdecode(path)} lies more than {MOST_LEVELS} folders deep"
            raise UsageError(message, hint="give a folder nearer to the images")
        return here

    def _count_way(self, here: _Inode, link: bytes) -> None:
        self._ways[here] += 1
        if self._ways[here] > MOST_WAYS:
            place = os.path.join(self._root, link.rstrip(b"/"))
            real = os.path.realpath(place)
            message = (
                f"{os.fsdecode(place)} leads into {os.fsdecode(real)}, where links lead by more than {MOST_WAYS} ways"
            )
            raise UsageError(message, hint="remove that link")

    def _entries(self, folder: bytes) -> list[_Entry]:
        path = os.path.join(self._root, folder)
        try:
            with os.scandir(path) as entries:
                found = [e for entry in entries if (e := self._entry(entry)) is not None]
        except OSError as error:
            raise _unlisted(path, error) from error
        found.sort()
        return found

    def _entry(self, entry: os.DirEntry[bytes]) -> _Entry | None:
        name = entry.name
        if name.startswith(b"."):
            return None
        linked = entry.is_symlink()
        if linked:
            self._refuse_loop(entry)
        if entry.is_dir():
            return name + b"/", None, linked
        ending = name.rpartition(b".")[2].lower() if b"." in name else b""
        if ending not in _ENDINGS:
            self.skipped["." + ending.decode("utf-8", "replace") if ending else "no ending"] += 1
            return None
        try:
            status = entry.stat()
        except FileNotFoundError:
            return name, BROKEN_LINK, linked
        if not stat.S_ISREG(status.st_mode):
            self.skipped["not a file"] += 1
            return None
        return name, status.st_size, linked

    def _refuse_loop(self, entry: os.DirEntry[bytes]) -> None:
        try:
            entry.is_dir()
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            place = os.fsdecode(entry.path)
            raise UsageError(f"{place} is a link that leads to itself", hint="remove that link") from error


def _unlisted(path: bytes, error: OSError) -> Unavailable:
    reason = error.strerror or "cannot be read"
    return Unavailable(f"cannot list {os.fsdecode(path)}: {reason}", hint="check its permissions")


def _text(name: bytes, folder: bytes) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError as error:
        place = os.fsdecode(folder)
        raise UsageError(
            f"file name {name!r} in {place} is not UTF-8, so it cannot be an image id", hint="rename it"
        ) from error
