"""List the image files below a folder in one of the orders of order.py.

Input: a folder. Output: (id, size) pairs; an id is the path below the folder with `/` between its parts.

- For the order by bytes, the entries of each folder are sorted with `/` appended to the names of folders; one folder is in memory
  at a time. For the order by names, one class is in memory, since another folder may sort between a folder and its subfolder
  (`a`, `a b`, `a/c`).
- Hidden files and folders (a leading dot) are skipped.
- Files without an image's extension are skipped and counted by extension. The name of a file only decides whether it is listed,
  its content how it is read.
- Links to files and folders are followed, because a folder of links is a common way to make a subset. It is an error if a link
  leads to a folder that contains it (the walk would never end), to itself, or to a folder for the 101st time (links to links
  multiply). A broken link is listed with size -1; reading it fails, so it is recorded as rejected.
- A name that is not UTF-8 cannot be an image id and is an error.
"""

import errno
import os
import stat
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from kdcache.errors import Unavailable, UsageError
from kdcache.images.formats import EXTENSIONS
from kdcache.images.order import THEIR_ENDINGS, THEM, check_order, place_of

BROKEN_LINK = -1
MOST_WAYS = 100
"""How many times one folder may be reached through links."""
MOST_LEVELS = 200
"""Largest depth of nested folders."""
_ENDINGS = frozenset(e.encode() for e in EXTENSIONS)
_THEIR_ENDINGS = frozenset(e.encode() for e in THEIR_ENDINGS)
_Inode = tuple[int, int]


class _Entry(NamedTuple):
    """An entry of a folder: a file or a folder."""

    name: bytes
    """Name of the entry; the name of a folder ends with `/`."""
    size: int | None
    """Size of the file in bytes; None for a folder."""
    linked: bool


class _Way(NamedTuple):
    """How the walk came to a folder."""

    above: tuple[_Inode, ...] = ()
    """Folders that contain this one, from the root down."""
    link: bytes | None = None
    """Last link on the path to this folder."""

    def into(self, here: _Inode, path: bytes, *, linked: bool) -> "_Way":
        """The way to a subfolder of the folder `here`."""
        return _Way((*self.above, here), path if linked else self.link)


class Walk:
    """One pass over a folder tree."""

    def __init__(self, root: str, order: str | None) -> None:
        self._root = os.fsencode(root)
        self._order = check_order(order)
        self.skipped: Counter[str] = Counter()
        """Number of skipped files, by extension."""
        self.top: dict[str, int] = {}
        """Top-level folders, numbered in order; complete before the first image is yielded."""
        self.by_names = True
        """Whether the images are in the order `names`, which the other order often equals; known at the end of the
        walk.
        """
        self.disputed: str | None = None
        """A message about a file that only one of this walk and torchvision's ImageFolder lists; known at the end of
        the walk.
        """
        self._prefix = ""
        """Folder of the image that came last."""
        self._ways: Counter[_Inode] = Counter()
        """How many times each folder was reached through a link; other folders are not counted, because there may be
        many of them.
        """

    def __iter__(self) -> Iterator[tuple[str, int]]:
        way = _Way()
        here, entries = self._enter(b"", way)
        if self._order is not None:
            entries.sort(key=_files_then_folders)
        names = [_text(_bare(entry.name), self._root) for entry in entries if _is_folder(entry)]
        self.top = {name: number for number, name in enumerate(names)}
        below = self._below_by_bytes if self._order is None else self._below_by_names
        for entry in entries:
            if _is_folder(entry):
                yield from below(entry.name, way.into(here, entry.name, linked=entry.linked))
            else:
                yield self._file("", entry)

    def _below_by_bytes(self, folder: bytes, way: _Way) -> Iterator[tuple[str, int]]:
        """All images in a folder."""
        here, entries = self._enter(folder, way)
        prefix = _text(folder, self._root)
        for entry in entries:
            if _is_folder(entry):
                inside = folder + entry.name
                yield from self._below_by_bytes(inside, way.into(here, inside, linked=entry.linked))
            else:
                yield self._file(prefix, entry)

    def _below_by_names(self, folder: bytes, way: _Way) -> Iterator[tuple[str, int]]:
        """All images in a class folder."""
        for inner, files in sorted(self._folders(folder, way), key=lambda found: _bare(found[0])):
            prefix = _text(inner, self._root)
            yield from (self._file(prefix, file) for file in files)

    def _folders(self, folder: bytes, way: _Way) -> Iterator[tuple[bytes, list[_Entry]]]:
        """Yield a folder and all folders below it, each with its own files sorted by name."""
        here, entries = self._enter(folder, way)
        yield folder, [entry for entry in entries if not _is_folder(entry)]
        for entry in filter(_is_folder, entries):
            inside = folder + entry.name
            yield from self._folders(inside, way.into(here, inside, linked=entry.linked))

    def _enter(self, folder: bytes, way: _Way) -> tuple[_Inode, list[_Entry]]:
        """The inode of a folder, and its entries sorted by bytes."""
        here = self._inode(folder, way.above)
        if way.link is not None:
            self._count_way(here, way.link)
        return here, self._entries(folder)

    def _file(self, prefix: str, entry: _Entry) -> tuple[str, int]:
        assert entry.size is not None
        if prefix != self._prefix:
            # Within one folder both orders are that of the bytes.
            self.by_names = self.by_names and place_of(self._prefix) < place_of(prefix)
            self._prefix = prefix
        return prefix + _text(entry.name, self._root + b"/" + prefix.encode()), entry.size

    def _inode(self, folder: bytes, above: tuple[_Inode, ...]) -> _Inode:
        path = os.path.join(self._root, folder)
        try:
            status = os.stat(path)
        except OSError as error:
            raise _unlisted(path, error) from error
        here = (status.st_dev, status.st_ino)
        if here in above:
            raise UsageError(f"{os.fsdecode(path)} leads back to a folder that contains it", hint="remove that link")
        if len(above) > MOST_LEVELS:
            message = f"{os.fsdecode(path)} lies more than {MOST_LEVELS} folders deep"
            raise UsageError(message, hint="give a folder closer to the images")
        return here

    def _count_way(self, here: _Inode, link: bytes) -> None:
        self._ways[here] += 1
        if self._ways[here] > MOST_WAYS:
            place = os.path.join(self._root, link.rstrip(b"/"))
            real = os.path.realpath(place)
            message = (
                f"{os.fsdecode(place)} leads into {os.fsdecode(real)}, which links reach in more than {MOST_WAYS} ways"
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
        ending = name.rpartition(b".")[2].lower() if b"." in name else b""
        if name.startswith(b"."):
            if ending in _THEIR_ENDINGS or os.path.isdir(entry.path):
                self._dispute(entry, THEM)
            return None
        linked = entry.is_symlink()
        if linked:
            self._refuse_loop(entry)
        if entry.is_dir():
            return _Entry(name + b"/", None, linked)
        if ending not in _ENDINGS:
            self.skipped["." + ending.decode("utf-8", "replace") if ending else "no ending"] += 1
            return None
        try:
            status = entry.stat()
        except FileNotFoundError:
            return _Entry(name, BROKEN_LINK, linked)
        if not stat.S_ISREG(status.st_mode):
            self.skipped["not a file"] += 1
            if ending in _THEIR_ENDINGS:
                self._dispute(entry, THEM)
            return None
        if ending not in _THEIR_ENDINGS:
            self._dispute(entry, "kd")
        return _Entry(name, status.st_size, linked)

    def _refuse_loop(self, entry: os.DirEntry[bytes]) -> None:
        try:
            entry.is_dir()
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            place = os.fsdecode(entry.path)
            raise UsageError(f"{place} is a link that leads to itself", hint="remove that link") from error

    def _dispute(self, entry: os.DirEntry[bytes], listed_by: str) -> None:
        if self.disputed is None:
            path = os.path.relpath(entry.path, self._root).decode("utf-8", "replace")
            self.disputed = f"{path} is listed by {listed_by} only"


def _unlisted(path: bytes, error: OSError) -> Unavailable:
    reason = error.strerror or "cannot be read"
    return Unavailable(f"cannot list {os.fsdecode(path)}: {reason}", hint="check its permissions")


def _is_folder(entry: _Entry) -> bool:
    return entry.size is None


def _bare(name: bytes) -> bytes:
    """A name or path without the `/` at its end."""
    return name.removesuffix(b"/")


def _files_then_folders(entry: _Entry) -> tuple[bool, bytes]:
    return _is_folder(entry), _bare(entry.name)


def _text(name: bytes, folder: bytes) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError as error:
        place = os.fsdecode(folder)
        raise UsageError(
            f"file name {name!r} in {place} is not UTF-8, so it cannot be an image id", hint="rename it"
        ) from error
