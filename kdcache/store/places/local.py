"""A place that is a folder on this machine. Its content may come from a stranger, so no link below it is followed.

Files are written atomically (base/atomic.py). Locks use flock, so a lock ends with the process that holds it.
"""

import fcntl
import mmap
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kdcache.base import addresses, beneath
from kdcache.base.atomic import (
    DEPTH,
    StagedFile,
    flush_folder,
    is_temporary,
    make_folder,
    refused,
    staged,
    storage_errors,
    sweep,
)
from kdcache.store.places.place import File, Kind, Place

_ANNOUNCED_BYTES = 256 << 10
"""Bytes per read-ahead call: of a larger range the kernel reads only as much as the device takes in one request."""
_held: set[int] = set()
"""Descriptors of the locks that this process holds."""


def _leave_to_parent() -> None:
    """Close the locks in a forked child, so that it does not keep the lock of a parent that was killed."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_leave_to_parent)


class LocalFile(File):
    """An open file in a folder, read through its descriptor."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path, self._descriptor = path, descriptor
        self.nbytes = os.fstat(descriptor).st_size

    def read(self, offset: int, size: int) -> bytes:
        """Read `size` bytes from `offset` on; fewer at the end of the file."""
        with storage_errors(self._path, "read"):
            content = os.pread(self._descriptor, size, offset)
            if len(content) == size or not content:
                return content
            pieces = [content]  # one call returns at most 2 GiB
            while (left := size - sum(map(len, pieces))) and pieces[-1]:
                pieces.append(os.pread(self._descriptor, left, offset + size - left))
        return b"".join(pieces)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill a buffer from `offset` on; returns the number of bytes read."""
        done = 0
        with storage_errors(self._path, "read"):
            while done < len(buffer) and (count := os.preadv(self._descriptor, [buffer[done:]], offset + done)):
                done += count
        return done

    def map(self) -> memoryview:
        """Map the file into memory."""
        if not self.nbytes:
            return memoryview(b"")
        with storage_errors(self._path, "read"):
            return memoryview(mmap.mmap(self._descriptor, self.nbytes, access=mmap.ACCESS_READ))

    def map_at(self, address: int, offset: int, nbytes: int) -> None:
        """Map bytes of the file at an address."""
        addresses.map_file(address, nbytes, self._descriptor, offset)

    def will_need(self, offset: int, nbytes: int) -> None:
        """Announce the range to the kernel, in pieces small enough to be read completely."""
        for here in range(offset, offset + nbytes, _ANNOUNCED_BYTES):
            os.posix_fadvise(self._descriptor, here, _ANNOUNCED_BYTES, os.POSIX_FADV_WILLNEED)


class LocalPlace(Place):
    """A folder as a place. Places with the same path are equal; pickles as its path."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[type["LocalPlace"], tuple[Path]]:
        return LocalPlace, (self._path,)

    def __str__(self) -> str:
        return str(self._path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LocalPlace) and other._path == self._path

    def __hash__(self) -> int:
        return hash(self._path)

    @property
    def folder(self) -> Path:
        """Path of the folder."""
        return self._path

    @contextmanager
    def opened(self, name: str) -> Iterator[LocalFile]:
        """Open a plain file without following any link below the folder."""
        path = self._path / name
        with ExitStack() as stack:
            try:
                descriptor = stack.enter_context(beneath.opened(self._path, name))
            except FileNotFoundError:
                raise
            except NotADirectoryError as error:  # the place itself is not a folder
                raise FileNotFoundError(error.errno, error.strerror, str(path)) from error
            except OSError as error:
                raise refused(error, path, "read") from error
            yield LocalFile(path, descriptor)

    @contextmanager
    def draft(self, name: str) -> Iterator[StagedFile]:
        """A file to write under a temporary name; the folders above it are created and flushed."""
        beneath.steps(self._path, name)
        path = self._path / name
        self._make(path.parent)
        with staged(path, self._path) as file:
            yield file

    def settle(self, names: Iterable[str]) -> None:
        """Flush the folders that the names are in."""
        for folder in sorted({(self._path / name).parent for name in names}):
            flush_folder(folder, self._path)

    def list(self, folder: str = "") -> list[str]:
        """The names in a folder, except those of drafts."""
        with storage_errors(self._path / folder, "list"):
            try:
                return sorted(name for name in beneath.names(self._path, folder) if not is_temporary(name))
            except NotADirectoryError:  # the place itself is not a folder
                return []

    def walk(self, folder: str = "") -> Iterator[tuple[str, Kind]]:
        """All entries below a folder, except drafts and entries deeper than any that kd writes."""
        found = beneath.walk(self._path, folder, depth=DEPTH)
        return ((name, kind) for name, kind in found if kind != "file" or not is_temporary(name))

    def kind(self, name: str) -> Kind | None:
        """The kind of entry with a name; links are not followed."""
        try:
            return beneath.kind(self._path, name)
        except NotADirectoryError:  # the place itself is not a folder
            return None

    def remove(self, name: str) -> bool:
        """Remove a file, or a link itself."""
        with storage_errors(self._path / name, "remove"):
            return beneath.remove(self._path, name)

    def sweep(self) -> None:
        """Remove temporary files that interrupted writes left."""
        sweep(self._path)

    @contextmanager
    def lock(self, name: str, *, shared: bool = False, wait: bool = False, signature: bytes = b"") -> Iterator[None]:
        """Lock with flock a plain file without other hard links, so that no other file is locked or overwritten."""
        beneath.steps(self._path, name)
        path = self._path / name
        self._make(path.parent)
        with storage_errors(path, "lock"), beneath.opened(self._path, name, os.O_RDWR | os.O_CREAT) as found:
            if os.fstat(found).st_nlink != 1:  # a hard link: the file of that other name would be overwritten
                raise beneath.not_plain(path, "file of its own")
            descriptor = os.dup(found)
        _held.add(descriptor)
        try:
            self._take(path, descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
            if signature:
                with storage_errors(path, "lock"):
                    os.ftruncate(descriptor, 0)
                    os.pwrite(descriptor, signature, 0)
            yield
        finally:
            _held.discard(descriptor)
            os.close(descriptor)

    def locked(self, name: str) -> bool:
        """Whether another descriptor holds the lock exclusively."""
        with beneath.opened(self._path, name, os.O_RDWR) as descriptor:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    @staticmethod
    def _take(path: Path, descriptor: int, how: int) -> None:
        try:
            fcntl.flock(descriptor, how)
        except BlockingIOError:
            raise
        except OSError as error:
            raise refused(error, path, "lock") from error

    def _make(self, folder: Path) -> None:
        """Create the place's folder, and a folder in it, if they do not exist."""
        if not self._path.is_dir():
            make_folder(self._path)
        if folder != self._path:
            make_folder(folder, self._path)
