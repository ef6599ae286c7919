"""Lists the image files below a folder in one of the orders of order.py.

Input: a folder. Output: (id, size) pairs; an id is the path below the folder with `/` between its parts.

- By the bytes of the id: sorting each folder with `/` added to the names of folders gives exactly that, and one folder is in
  memory at a time. By names: one class is, since a folder may come between two that lie in one (`a`, `a b`, `a/c`).
- Hidden files and folders (a leading dot) are skipped.
- Files whose ending is not an image's are skipped and counted by ending. Content decides how a file is read, its name only
  whether it is listed.
- Links are followed, to files and to folders: a folder of links is a usual way to make a subset. A link to a folder that the
  walk is already inside would never end and is an error. A link to nothing is listed with size -1; reading it fails, so it is
  recorded as rejected.
- A name that is not UTF-8 cannot be an image id and is an error.
"""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from typing import Any

from kdcache.errors import Unavailable, UsageError
from kdcache.images.formats import EXTENSIONS
from kdcache.images.order import THEIR_ENDINGS, THEM, check_order

BROKEN_LINK = -1
_ENDINGS = frozenset(e.encode() for e in EXTENSIONS)
_THEIR_ENDINGS = frozenset(e.encode() for e in THEIR_ENDINGS)
_Inode = tuple[int, int]
_Entry = tuple[bytes, int | None]
"""name and size of a file; name with `/` and None for a folder"""


class Walk:
    """One pass over a folder tree."""

    def __init__(self, root: str, order: str | None) -> None:
        self._root = os.fsencode(root)
        self._order = check_order(order)
        self.skipped: Counter[str] = Counter()
        """files left out, by ending"""
        self.top: dict[str, int] = {}
        """folders at the top, numbered in order; complete before the first image comes"""
        self.by_names = True
        """whether the images came in the order `names`, as they often do in the other one, too; complete at the end"""
        self.disputed: str | None = None
        """what only one of torchvision's ImageFolder and this walk lists, and which of them; complete at the end"""

    def __iter__(self) -> Iterator[tuple[str, int]]:
        here, entries = self._enter(b"", ())
        if self._order is not None:
            entries.sort(key=_files_then_folders)
        names = [_text(_bare(entry), self._root) for entry in entries if _is_folder(entry)]
        self.top = {name: number for number, name in enumerate(names)}
        below = self._below_by_bytes if self._order is None else self._below_by_names
        for entry in entries:
            if _is_folder(entry):
                yield from below(entry[0], (here,))
            else:
                yield self._file("", entry)

    def _below_by_bytes(self, folder: bytes, above: tuple[_Inode, ...]) -> Iterator[tuple[str, int]]:
        """All images in a folder."""
        here, entries = self._enter(folder, above)
        prefix = _text(folder, self._root)
        for entry in entries:
            if _is_folder(entry):
                yield from self._below_by_bytes(folder + entry[0], (*above, here))
            else:
                yield self._file(prefix, entry)

    def _below_by_names(self, folder: bytes, above: tuple[_Inode, ...]) -> Iterator[tuple[str, int]]:
        """All images in a class folder."""
        for inner, files in sorted(self._folders(folder, above), key=_bare):
            prefix = _text(inner, self._root)
            yield from (self._file(prefix, file) for file in files)

    def _folders(self, folder: bytes, above: tuple[_Inode, ...]) -> Iterator[tuple[bytes, list[_Entry]]]:
        """A folder and all those below it, each with its own files by name."""
        here, entries = self._enter(folder, above)
        yield folder, [entry for entry in entries if not _is_folder(entry)]
        for entry in filter(_is_folder, entries):
            yield from self._folders(folder + entry[0], (*above, here))

    def _enter(self, folder: bytes, above: tuple[_Inode, ...]) -> tuple[_Inode, list[_Entry]]:
        """What lies in a folder, sorted by bytes."""
        here, entries = self._inode(folder, above), self._entries(folder)
        if self._order is None and any(map(_is_folder, entries)):
            self.by_names = self.by_names and entries == sorted(entries, key=_files_then_folders)
        return here, entries

    def _file(self, prefix: str, entry: _Entry) -> tuple[str, int]:
        name, size = entry
        assert size is not None
        return prefix + _text(name, self._root + b"/" + prefix.encode()), size

    def _inode(self, folder: bytes, above: tuple[_Inode, ...]) -> _Inode:
        status = os.stat(os.path.join(self._root, folder))
        here = (status.st_dev, status.st_ino)
        if here in above:
            place = os.fsdecode(os.path.join(self._root, folder))
            raise UsageError(f"{place} leads back to a folder it lies in", hint="remove that link")
        return here

    def _entries(self, folder: bytes) -> list[_Entry]:
        path = os.path.join(self._root, folder)
        try:
            with os.scandir(path) as entries:
                found = [e for entry in entries if (e := self._entry(entry)) is not None]
        except OSError as error:
            reason = error.strerror or "cannot be read"
            raise Unavailable(f"cannot list {os.fsdecode(path)}: {reason}", hint="check its permissions") from error
        found.sort()
        return found

    def _entry(self, entry: os.DirEntry[bytes]) -> _Entry | None:
        name = entry.name
        ending = name.rpartition(b".")[2].lower() if b"." in name else b""
        if name.startswith(b"."):
            if ending in _THEIR_ENDINGS or os.path.isdir(entry.path):
                self._dispute(entry, THEM)
            return None
        if entry.is_dir():
            return name + b"/", None
        if ending not in _ENDINGS:
            self.skipped["." + ending.decode("utf-8", "replace") if ending else "no ending"] += 1
            return None
        try:
            status = entry.stat()
        except FileNotFoundError:
            return name, BROKEN_LINK
        if not stat.S_ISREG(status.st_mode):
            self.skipped["not a file"] += 1
            if ending in _THEIR_ENDINGS:
                self._dispute(entry, THEM)
            return None
        if ending not in _THEIR_ENDINGS:
            self._dispute(entry, "kd")
        return name, status.st_size

    def _dispute(self, entry: os.DirEntry[bytes], listed_by: str) -> None:
        if self.disputed is None:
            path = os.path.relpath(entry.path, self._root).decode("utf-8", "replace")
            self.disputed = f"{path} is listed by {listed_by} only"


def _is_folder(entry: _Entry) -> bool:
    return entry[1] is None


def _bare(entry: tuple[bytes, Any]) -> bytes:
    """The name of an entry, or the path of a folder, without the `/` at its end."""
    return entry[0].removesuffix(b"/")


def _files_then_folders(entry: _Entry) -> tuple[bool, bytes]:
    return _is_folder(entry), _bare(entry)


def _text(name: bytes, folder: bytes) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError as error:
        place = os.fsdecode(folder)
        raise UsageError(
            f"file name {name!r} in {place} is not UTF-8, so it cannot be an image id", hint="rename it"
        ) from error
