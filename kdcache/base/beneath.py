"""Access files inside a folder that a stranger may have filled: no link below that folder is followed.

Input: the folder, which the user named and may reach through links, and a name below it such as `parts/v000/000000.json`.
Output: descriptors and names. A link, a pipe or a device in place of a file raises Damage at once: nothing waits for a pipe, and
nothing outside is read, written or removed. A missing file stays a FileNotFoundError, for the caller to explain.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from kdcache.errors import Damage

Kind = Literal["file", "folder", "link", "other"]

_HERE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NOT_OPENED = {errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EISDIR, errno.EMLINK}
_HINT = "remove it, or copy it again from its source as a plain file: links, pipes and devices are not used in there"


@contextmanager
def folder(root: Path, name: str = "", *, make: bool = False) -> Iterator[int]:
    """Open `root` or a folder below it as a descriptor; with `make`, missing folders are created."""
    way = steps(root, name)
    here = os.open(root, _FOLDER)
    try:
        done = root
        for step in way:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(step, dir_fd=here)
                    os.fsync(here)
            done, above = done / step, here
            try:
                here = os.open(step, _FOLDER | _HERE, dir_fd=above)
            except OSError as error:
                _tell_apart(error, done, "folder")
                raise
            finally:
                if here != above:
                    os.close(above)
        yield here
    finally:
        os.close(here)


@contextmanager
def opened(root: Path, name: str, flags: int = os.O_RDONLY) -> Iterator[int]:
    """Open a plain file as a descriptor; with O_CREAT it is created."""
    above, _, last = name.rpartition("/")
    steps(root, name)
    with folder(root, above) as here:
        try:
            descriptor = os.open(last, flags | _HERE, 0o666, dir_fd=here)
        except OSError as error:
            _tell_apart(error, root / name, "file")
            raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise not_plain(root / name, "file")
        yield descriptor
    finally:
        os.close(descriptor)


def names(root: Path, name: str = "") -> set[str]:
    """Names of the entries of a folder; empty when the folder does not exist."""
    try:
        with folder(root, name) as here:
            return set(os.listdir(here))
    except FileNotFoundError:
        return set()


def kind(root: Path, name: str) -> Kind | None:
    """Whether a name is a file, a folder or something else; None when it does not exist."""
    above, _, last = name.rpartition("/")
    steps(root, name)
    try:
        with folder(root, above) as here:
            return _kind(os.stat(last, dir_fd=here, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return None


def walk(root: Path, name: str = "", *, depth: int) -> Iterator[tuple[str, Kind]]:
    """All entries below a folder, in order, at most `depth` folders deep."""
    found = []
    try:
        with folder(root, name) as here, os.scandir(here) as entries:
            for entry in entries:
                inner = f"{name}/{entry.name}" if name else entry.name
                found.append((inner, _kind(entry.stat(follow_symlinks=False).st_mode)))
    except FileNotFoundError:
        return
    for inner, what in sorted(found):
        yield inner, what
        if what == "folder" and depth > 1:
            yield from walk(root, inner, depth=depth - 1)


def remove(root: Path, name: str) -> bool:
    """Remove a file, or a link itself; False when it did not exist."""
    above, _, last = name.rpartition("/")
    steps(root, name)
    try:
        with folder(root, above) as here:
            os.unlink(last, dir_fd=here)
            os.fsync(here)
    except FileNotFoundError:
        return False
    return True


def not_plain(path: Path, wanted: str) -> Damage:
    """The error for a path that is something else than the wanted file or folder."""
    what = "a link" if path.is_symlink() else f"not a {wanted}"
    return Damage(f"{path} is {what}, so it is not opened", hint=_HINT, path=str(path))


def _tell_apart(error: OSError, path: Path, wanted: str) -> None:
    """Raise Damage when opening failed because of what is at the path, not because of the disk."""
    if error.errno in _NOT_OPENED:
        raise not_plain(path, wanted) from error


def steps(root: Path | str, name: str) -> list[str]:
    """The components of a name; Damage when one of them would lead outside `root`."""
    found = name.split("/") if name else []
    if any(step in ("", ".", "..") or "\0" in step for step in found):
        raise Damage(f"{name!r} is no name below {root}", hint=_HINT, path=name)
    return found


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "link" if stat.S_ISLNK(mode) else "other"
