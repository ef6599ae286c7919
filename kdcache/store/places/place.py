"""The contract of a place where a cache lies: a local folder, memory, an object store.

A name is relative and has `/` between its components, such as `parts/v000/000000.json`. Every method raises Damage for a name
that leads out of the place, FileNotFoundError for a missing file (the caller explains it), and StorageError, which names the
file, if the place itself fails. A file is never visible under its name before it is whole and durable.

Every place must pass the suite in `kdcache.testing.places`.
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
        """Read `size` bytes from `offset` on; fewer at the end of the file."""

    @abstractmethod
    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill a buffer from `offset` on; returns the number of bytes read, which is smaller at the end of the file."""

    @abstractmethod
    def map(self) -> memoryview:
        """The whole file as a read-only buffer, valid as long as the buffer is kept. If possible it is mapped, not read."""

    def map_at(self, address: int, offset: int, nbytes: int) -> None:
        """Put bytes of the file, read-only, at an address that the caller has reserved; `offset` is page-aligned. OSError if
        they cannot be mapped. This default copies them; a place with local files maps them."""
        addresses.map_copy(address, self.read(offset, nbytes))

    @abstractmethod
    def will_need(self, offset: int, nbytes: int) -> None:
        """Hint that these bytes will be read soon; returns at once."""


def file_digest(file: File) -> str:
    """xxh3-128 of a whole file, in hex."""
    state, buffer, done = xxhash.xxh3_128(), memoryview(bytearray(min(_READ, file.nbytes))), 0
    while done < file.nbytes and (count := file.read_into(done, buffer)):
        state.update(buffer[:count])
        done += count
    return state.hexdigest()


class Draft(Protocol):
    """A file that is being written. It is invisible until `commit`; without that nothing of it is left."""

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
        """Give the draft its name, replacing a file of that name. The name is durable only after `Place.settle`."""

    def commit_new(self) -> bool:
        """Like `commit`, but False and no change if a file of that name exists."""


class Place(ABC):
    """Where one cache lies. Messages show `str(place)`."""

    @property
    def folder(self) -> Path:
        """The folder on this machine; UsageError if the place is not a local folder."""
        raise UsageError(f"{self} is not a folder on this machine", hint="copy the cache into one")

    def at(self, name: str) -> str:
        """How messages name a file of the place."""
        return f"{self}/{name}" if name else str(self)

    @abstractmethod
    def opened(self, name: str) -> AbstractContextManager[File]:
        """Open a plain file for reading; Damage if the name belongs to a link, a pipe or a folder."""

    @abstractmethod
    def draft(self, name: str) -> AbstractContextManager[Draft]:
        """A file to write. If it is not committed in the block, nothing of it is left."""

    @abstractmethod
    def settle(self, names: Iterable[str]) -> None:
        """Make the names of committed files durable."""

    @abstractmethod
    def list(self, folder: str = "") -> list[str]:
        """Names of the entries directly in a folder, ascending, without drafts; empty if there is no such folder."""

    @abstractmethod
    def walk(self, folder: str = "") -> Iterator[tuple[str, Kind]]:
        """All entries below a folder with their kinds, sorted, each folder directly followed by its content; no drafts."""

    @abstractmethod
    def kind(self, name: str) -> Kind | None:
        """The kind of entry with that name; None if there is none."""

    @abstractmethod
    def remove(self, name: str) -> bool:
        """Remove a file, durably; False if it did not exist."""

    @abstractmethod
    def sweep(self) -> None:
        """Remove drafts that killed processes left. The caller must hold the exclusive build lock."""

    @abstractmethod
    def lock(
        self, name: str, *, shared: bool = False, wait: bool = False, signature: bytes = b""
    ) -> AbstractContextManager[None]:
        """Hold a lock until the block is left or the process ends, however it ends.

        The lock is exclusive, or `shared` with others. BlockingIOError if it is taken and `wait` is not set. Lock files stay
        in the place; after the lock was taken, a non-empty `signature` replaces the file's content.
        """

    @abstractmethod
    def locked(self, name: str) -> bool:
        """Whether a process holds the lock exclusively; its file must exist."""

    def size(self, name: str) -> int:
        """Length of a file in bytes."""
        with self.opened(name) as file:
            return file.nbytes

    def read(self, name: str, most: int) -> bytes:
        """A whole file; Damage when it has more than `most` bytes."""
        with self.opened(name) as file:
            if file.nbytes > most:
                message = f"{self.at(name)} has {file.nbytes:,} bytes, at most {most:,} are read"
                hint = "kd never writes such a large file there: copy the cache again from its source"
                raise Damage(message, hint=hint, path=self.at(name))
            return file.read(0, file.nbytes)

    def read_range(self, name: str, offset: int, size: int) -> bytes:
        """Read a range of a file; fewer bytes at its end."""
        with self.opened(name) as file:
            return file.read(offset, size)

    def map(self, name: str) -> memoryview:
        """A whole file as a read-only buffer."""
        with self.opened(name) as file:
            return file.map()

    def put_new(self, name: str, pieces: Iterable[Buffer]) -> bool:
        """Write a whole file, durably; False and no change if a file of that name exists."""
        with self.draft(name) as draft:
            for piece in pieces:
                draft.write(piece)
            draft.flush()
            if not draft.commit_new():
                return False
        self.settle([name])
        return True

    def replace(self, name: str, pieces: Iterable[Buffer]) -> None:
        """Write a whole file, durably, replacing an old one; readers see either the old or the new file."""
        with self.draft(name) as draft:
            for piece in pieces:
                draft.write(piece)
            draft.flush()
            draft.commit()
        self.settle([name])
