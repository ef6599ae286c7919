"""A place in the memory of this process: for tests, and as the simplest example of a place.

Files are immutable bytes that can only be replaced, so mapped content never changes. Threads share a place; processes do not.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Condition

import xxhash

from kdcache.base import beneath
from kdcache.base.atomic import Buffer
from kdcache.errors import Damage
from kdcache.store.places.place import File, Kind, Place


class MemoryFile(File):
    """An open file: its bytes at the time it was opened."""

    def __init__(self, content: bytes) -> None:
        self._content = memoryview(content)
        self.nbytes = len(content)

    def read(self, offset: int, size: int) -> bytes:
        """Read `size` bytes from `offset` on; fewer at the end of the file."""
        return bytes(self._content[offset : offset + size])

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Copy bytes from `offset` on into a buffer; returns their number."""
        piece = self._content[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)

    def map(self) -> memoryview:
        """The bytes of the file, not copied."""
        return self._content

    def will_need(self, offset: int, nbytes: int) -> None:
        """Do nothing: the bytes are in memory."""


class MemoryDraft:
    """A file that is being written."""

    def __init__(self, place: "MemoryPlace", name: str) -> None:
        self._place, self._name = place, name
        self._content = bytearray()
        self._hash = xxhash.xxh3_128()

    @property
    def nbytes(self) -> int:
        """Bytes written so far."""
        return len(self._content)

    @property
    def digest(self) -> str:
        """xxh3-128 of the bytes written so far."""
        return self._hash.hexdigest()

    def write(self, piece: Buffer) -> None:
        """Append bytes."""
        self._hash.update(piece)
        self._content += piece

    def flush(self) -> None:
        """Do nothing: memory is not durable."""

    def commit(self) -> None:
        """Give the draft its name, replacing a file of that name."""
        self._place._put(self._name, bytes(self._content), new=False)

    def commit_new(self) -> bool:
        """Like `commit`, but False and no change if the name is taken."""
        return self._place._put(self._name, bytes(self._content), new=True)


class MemoryPlace(Place):
    """A place that keeps files by name. `name` is used in messages."""

    def __init__(self, name: str = "memory") -> None:
        self._name = name
        self._files: dict[str, bytes] = {}
        self._locks: dict[str, int] = {}
        """Number of shared holders of each lock, by name; -1 for an exclusive one."""
        self._changed = Condition()

    def __str__(self) -> str:
        return f"memory:{self._name}"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError(f"{self} is in the memory of one process, and cannot be sent to another")

    @contextmanager
    def opened(self, name: str) -> Iterator[MemoryFile]:
        """Open a file with its present content."""
        beneath.steps(str(self), name)
        with self._changed:
            content = self._files.get(name)
        if content is not None:
            yield MemoryFile(content)
        elif self.kind(name) == "folder":
            raise Damage(f"{self.at(name)} is not a file, so it is not opened", path=self.at(name))
        else:
            raise FileNotFoundError(f"there is no {self.at(name)}")

    @contextmanager
    def draft(self, name: str) -> Iterator[MemoryDraft]:
        """A file to write; drafts are not visible under any name."""
        beneath.steps(str(self), name)
        yield MemoryDraft(self, name)

    def settle(self, names: Iterable[str]) -> None:
        """Do nothing: memory is not durable."""

    def list(self, folder: str = "") -> list[str]:
        """The entries directly in a folder."""
        beneath.steps(str(self), folder)
        start = f"{folder}/" if folder else ""
        with self._changed:
            return sorted({name[len(start) :].split("/")[0] for name in self._files if name.startswith(start)})

    def walk(self, folder: str = "") -> Iterator[tuple[str, Kind]]:
        """All folders and files, each folder before its content."""
        for each in self.list(folder):
            name = f"{folder}/{each}" if folder else each
            kind = self.kind(name)
            if kind is not None:
                yield name, kind
            if kind == "folder":
                yield from self.walk(name)

    def kind(self, name: str) -> Kind | None:
        """The kind of entry with a name; a folder exists as long as it contains a file."""
        beneath.steps(str(self), name)
        with self._changed:
            if name in self._files:
                return "file"
            return "folder" if any(each.startswith(f"{name}/") for each in self._files) else None

    def remove(self, name: str) -> bool:
        """Remove a file."""
        beneath.steps(str(self), name)
        with self._changed:
            return self._files.pop(name, None) is not None

    def sweep(self) -> None:
        """Do nothing: drafts end with their process."""

    @contextmanager
    def lock(self, name: str, *, shared: bool = False, wait: bool = False, signature: bytes = b"") -> Iterator[None]:
        """Hold a lock by counting its holders."""
        beneath.steps(str(self), name)
        with self._changed:
            self._files.setdefault(name, b"")
            while not self._free(name, shared):
                if not wait:
                    raise BlockingIOError(f"{self.at(name)} is locked")
                self._changed.wait()
            self._locks[name] = self._locks.get(name, 0) + 1 if shared else -1
            if signature:
                self._files[name] = signature
        try:
            yield
        finally:
            with self._changed:
                left = self._locks.pop(name) - 1
                if left > 0:
                    self._locks[name] = left
                self._changed.notify_all()

    def locked(self, name: str) -> bool:
        """Whether the lock is held exclusively."""
        beneath.steps(str(self), name)
        with self._changed:
            return self._locks.get(name, 0) < 0

    def _free(self, name: str, shared: bool) -> bool:
        holders = self._locks.get(name, 0)
        return holders >= 0 if shared else not holders

    def _put(self, name: str, content: bytes, *, new: bool) -> bool:
        """Store the content of a committed draft under its name."""
        with self._changed:
            if new and name in self._files:
                return False
            self._files[name] = content
            return True
