"""Write files so that they appear whole or not at all: under a temporary name, flushed, renamed, folder flushed.

A disk failure on the way becomes a StorageError that names the path and a way out; a path that cannot be a file or folder becomes
a UsageError. In both cases what was there before stays unchanged.
"""

import errno
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import xxhash

from kdcache.base import beneath
from kdcache.errors import KDError, StorageError, UsageError

Buffer = bytes | bytearray | memoryview
_MARK = ".tmp-"
DEPTH = 8
"""How many folders deep `sweep` looks for leftovers: deeper than anything that kd writes."""
_HINTS = {
    errno.ENOSPC: "free some space there and run the same command again; finished parts are kept",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
    errno.EACCES: "check the permissions, or choose another folder with --out",
    errno.EPERM: "check the permissions, or choose another folder with --out",
    errno.EROFS: "the file system is read-only; choose another folder with --out",
    errno.EIO: "the disk reports an error; check its health and the system log",
}
WRONG_PATH = {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG}
"""Errors that mean a wrong path, not a failing disk."""
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}
"""Errors of file systems without hard links (FAT, some network shares)."""


@contextmanager
def storage_errors(path: Path, doing: str = "write") -> Iterator[None]:
    """Turn an OSError of the block into a KDError that names the path (see `refused`)."""
    try:
        yield
    except OSError as error:
        raise refused(error, path, doing) from error


def refused(error: OSError, path: Path, doing: str) -> KDError:
    """The error to raise for an OSError: a UsageError when the path is wrong, else a StorageError."""
    reason = error.strerror or str(error)
    if error.errno in WRONG_PATH:
        return UsageError(f"cannot {doing} {path}: {reason}", hint="choose another place", path=str(path))
    hint = _HINTS.get(error.errno or 0, "check that the folder exists and can be used")
    return StorageError(f"cannot {doing} {path}: {reason}", hint=hint, path=str(path))


class StagedFile:
    """A file being written under a temporary name; it gets its real name with `commit`.

    `within`: a folder whose content may come from a stranger; below it no link is followed.
    """

    def __init__(self, path: Path, within: Path | None = None) -> None:
        self.path = path
        self.nbytes = 0
        self._hash = xxhash.xxh3_128()
        self._temporary = f".{path.name}{_MARK}{os.getpid()}-{secrets.token_hex(4)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with storage_errors(path), beneath.folder(*_below(path.parent, within)) as folder:
            self._descriptor = os.open(self._temporary, flags, 0o666, dir_fd=folder)
            self._folder = os.dup(folder)
        self._open = True
        self._here = True

    @property
    def digest(self) -> str:
        """xxh3-128 of the bytes written so far."""
        return self._hash.hexdigest()

    def write(self, piece: Buffer) -> None:
        """Append bytes."""
        view = memoryview(piece).cast("B")
        self._hash.update(view)
        self.nbytes += len(view)
        with storage_errors(self.path):
            while len(view):
                view = view[os.write(self._descriptor, view) :]

    def flush(self) -> None:
        """Flush the content to disk and close the file. Nothing can be written afterwards."""
        with storage_errors(self.path):
            os.fsync(self._descriptor)
            self._close()

    def commit(self) -> None:
        """Rename the file to its real name. The folder is not flushed yet: see `flush_folder`."""
        with storage_errors(self.path):
            os.replace(self._temporary, self.path.name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        self._here = False

    def commit_new(self) -> bool:
        """Like `commit`, but return False and change nothing when a file of that name exists already."""
        with storage_errors(self.path):
            try:
                self._link()
            except FileExistsError:
                return False
        return True

    def _link(self) -> None:
        """Hard-link the real name to the temporary file, because a rename would replace an existing file of that name."""
        name = self.path.name
        try:
            os.link(self._temporary, name, src_dir_fd=self._folder, dst_dir_fd=self._folder, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # Without hard links no single call checks and renames: callers on such file systems hold a lock of their own.
            with suppress(FileNotFoundError):
                os.stat(name, dir_fd=self._folder, follow_symlinks=False)
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name) from None
            self.commit()

    def discard(self) -> None:
        """Remove the temporary file if there still is one."""
        self._close()
        if self._here:
            self._here = False
            with suppress(FileNotFoundError):
                os.unlink(self._temporary, dir_fd=self._folder)
        os.close(self._folder)

    def _close(self) -> None:
        if self._open:
            self._open = False
            os.close(self._descriptor)


@contextmanager
def staged(path: Path, within: Path | None = None) -> Iterator[StagedFile]:
    """A file to write; if the block does not commit it, nothing of it is left afterwards."""
    file = StagedFile(path, within)
    try:
        yield file
    finally:
        file.discard()


def write_file(path: Path, pieces: Iterable[Buffer], within: Path | None = None) -> StagedFile:
    """Write a whole file atomically and durably; returns its size and digest."""
    with staged(path, within) as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        file.commit()
    flush_folder(path.parent, within)
    return file


def flush_folder(folder: Path, within: Path | None = None) -> None:
    """Flush a folder to disk, so that files renamed in it keep their names after a power cut."""
    with storage_errors(folder), beneath.folder(*_below(folder, within)) as descriptor:
        os.fsync(descriptor)


def make_folder(folder: Path, within: Path | None = None) -> None:
    """Make a folder and its parents, durably."""
    with storage_errors(folder, "make"):
        if within is not None:
            with beneath.folder(*_below(folder, within), make=True):
                return
        absent = [f for f in (folder, *folder.parents) if not f.is_dir()]
        for new in reversed(absent):
            new.mkdir(exist_ok=True)
            flush_folder(new.parent)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A temporary folder to fill; at the end of the block it replaces `path`. For one process at a time.

    A temporary folder that a killed process left behind is deleted first.
    """
    draft = path.with_name(f".{path.name}{_MARK}folder")
    shutil.rmtree(draft, ignore_errors=True)  # does nothing when `draft` is a link
    with storage_errors(draft, "make"):
        if draft.is_symlink():  # put there by somebody else: remove the link, not its target
            draft.unlink()
        make_folder(draft.parent)
        draft.mkdir()  # fails when it exists, so that somebody else's folder is never filled
    try:
        yield draft
        flush_folder(draft)
        with storage_errors(path):
            if path.exists():
                shutil.rmtree(path)
            draft.rename(path)
        flush_folder(path.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Remove a folder. It is renamed first, so that a half-removed folder is never taken for a whole one."""
    going = path.with_name(f".{path.name}{_MARK}old")
    with storage_errors(path, "remove"):
        shutil.rmtree(going, ignore_errors=True)
        path.rename(going)
        shutil.rmtree(going)


def is_temporary(path: Path | str) -> bool:
    """Whether this is a temporary name, which only an interrupted write leaves behind."""
    name = os.path.basename(path)
    return name.startswith(".") and _MARK in name


def sweep(folder: Path) -> list[Path]:
    """Remove what interrupted writes left under a folder. The caller must hold the exclusive build lock."""
    with storage_errors(folder, "clean up"):
        stale = [
            name for name, what in beneath.walk(folder, depth=DEPTH) if what != "folder" and is_temporary(Path(name))
        ]
        for name in stale:
            beneath.remove(folder, name)
    return [folder / name for name in stale]


def _below(path: Path, within: Path | None) -> tuple[Path, str]:
    """Split a path into the trusted folder and the relative path below it."""
    if within is None or path == within:
        return path, ""
    return within, path.relative_to(within).as_posix()
