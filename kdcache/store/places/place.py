"""What a cache needs of the place it lies in, whatever that is: a local folder, memory, an object store.

A name is relative and has `/` between its steps, such as `parts/v000/000000.json`. Every method refuses a name that leads out of
the place (Damage), and raises FileNotFoundError for a file that is not there, for the caller to explain; what the place itself
refuses is a StorageError that names the file. Nothing is ever visible under its name before it is whole and durable.

`kdcache.testing.places` is the suite that every place must pass.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, Protocol

import xxhash

from kdcache.base import addresses
from kdcache.base.atomic import Buffer
from kdcache.errors import Damage, UsageError

Kind = Literal["file", "folder", "link", "other"]
_READ = 4 << 20
"""Number of bytes hashed at a time."""


class File(ABC):
    """A file that is open for reading."""

    nbytes: int
    """Length of the file when it was opened."""

    @abstractmethod
    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on; fewer where the file ends."""

    @abstractmethod
    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill a buffer from `offset` on; the number of bytes read, fewer than requested where the file ends."""

    @abstractmethod
    def map(self) -> memoryview:
        """The whole file, read-only, for as long as the buffer is kept. Nothing is read before it is touched, if it can be so."""

    def map_at(self, address: int, offset: int, nbytes: int) -> None:
        """Put bytes of the file, read-only, at an address that the caller has reserved. `offset` is that of a page. OSError
        where that many cannot be mapped. A place whose files are local ones maps them; here they are copied."""
        addresses.map_copy(address, self.read(offset, nbytes))

    @abstractmethod
    def will_need(self, offset: int, nbytes: int) -> None:
        """A hint that these bytes will be read soon. Nothing waits for them."""


def file_digest(file: File) -> str:
    """xxh3-128 of a whole file, in hex."""
    state, buffer, done = xxhash.xxh3_128(), memoryview(bytearray(min(_READ, file.nbytes))), 0
    while done < file.nbytes and (count := file.read_into(done, buffer)):
        state.update(buffer[:count])
        done += count
    return state.hexdigest()


class Draft(Protocol):
    """A file that is being written; nobody sees it until `commit`, and nothing is left of it without."""

    @property
    def nbytes(self) -> int:
        """Bytes written so far."""

    @property
    def digest(self) -> str:
        """xxh3-128 of the bytes written so far, in hex."""

    def write(self, piece: Buffer) -> None:
        """Append bytes."""

    def flush(self) -> None:
        """Make the bytes durable. Nothing can be written afterwards."""

    def commit(self) -> None:
        """Give it its name, in place of a file that has it. The name itself is durable after `Place.settle`."""

    def commit_new(self) -> bool:
        """The same, unless a file has the name already: then False, and nothing changes."""


class Place(ABC):
    """Where one cache lies. `str(place)` is how messages call it."""

    @property
    def folder(self) -> Path:
        """The folder on this machine; UsageError where it is none."""
        raise UsageError(f"{self} is no folder on this machine", hint="copy the cache into one")

    def at(self, name: str) -> str:
        """How messages call a file of the place."""
        return f"{self}/{name}" if name else str(self)

    @abstractmethod
    def opened(self, name: str) -> AbstractContextManager[File]:
        """A plain file to read from; Damage where a link, a pipe or a folder has the name."""

    @abstractmethod
    def draft(self, name: str) -> AbstractContextManager[Draft]:
        """A file to be written. What was not committed is gone when the context is left."""

    @abstractmethod
    def settle(self, names: Iterable[str]) -> None:
        """Make the names of committed files durable."""

    @abstractmethod
    def list(self, folder: str = "") -> list[str]:
        """What lies directly in a folder, ascending; nothing where there is no such folder. Drafts are not there yet."""

    @abstractmethod
    def walk(self, folder: str = "") -> Iterator[tuple[str, Kind]]:
        """Everything below a folder with what it is, ascending in each folder, what a folder holds right behind it; no drafts."""

    @abstractmethod
    def kind(self, name: str) -> Kind | None:
        """What has a name; None when nothing has."""

    @abstractmethod
    def remove(self, name: str) -> bool:
        """Take a file away, durably; False when it was not there."""

    @abstractmethod
    def sweep(self) -> None:
        """Take away the drafts of processes that were killed. Only for who holds the exclusive build lock."""

    @abstractmethod
    def lock(
        self, name: str, *, shared: bool = False, wait: bool = False, signature: bytes = b""
    ) -> AbstractContextManager[None]:
        """Hold a lock until the context is left or the process ends, however it ends.

        Alone, or beside others that share it. BlockingIOError when it cannot be had at once and `wait` is not set. Locks are
        files that stay: `signature`, if there is one, replaces their content when the lock was taken.
        """

    @abstractmethod
    def locked(self, name: str) -> bool:
        """Whether somebody holds a lock alone; its file is there."""

    def size(self, name: str) -> int:
        """Length of a file in bytes."""
        with self.opened(name) as file:
            return file.nbytes

    def read(self, name: str, most: int) -> bytes:
        """A whole file; Damage when it has more than `most` bytes."""
        with self.opened(name) as file:
            if file.nbytes > most:
                message = f"{self.at(name)} has {file.nbytes:,} bytes, at most {most:,} are read"
                hint = "no program of this kind writes so much there: copy it from where it came from"
                raise Damage(message, hint=hint, path=self.at(name))
            return file.read(0, file.nbytes)

    def read_range(self, name: str, offset: int, size: int) -> bytes:
        """Some bytes of a file; fewer where it ends."""
        with self.opened(name) as file:
            return file.read(offset, size)

    def map(self, name: str) -> memoryview:
        """A whole file as a read-only buffer."""
        with self.opened(name) as file:
            return file.map()

    def put_new(self, name: str, pieces: Iterable[Buffer]) -> bool:
        """Write a whole file, durably. False, and nothing changes, when there is one of that name."""
        with self.draft(name) as draft:
            for piece in pieces:
                draft.write(piece)
            draft.flush()
            if not draft.commit_new():
                return False
        self.settle([name])
        return True

    def replace(self, name: str, pieces: Iterable[Buffer]) -> None:
        """Write a whole file, durably; who reads it meanwhile gets the old one or the new one."""
        with self.draft(name) as draft:
            for piece in pieces:
                draft.write(piece)
            draft.flush()
            draft.commit()
        self.settle([name])
