"""A place in the memory of this process: for tests, and as the plainest example of what a place is.

Files are bytes that are never changed, only replaced, so what is mapped stays what it was. Threads share it; processes do not.
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
    """The bytes of a file as they were when it was opened."""

    def __init__(self, content: bytes) -> None:
        self._content = memoryview(content)
        self.nbytes = len(content)

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on; fewer where the file ends."""
        return bytes(self._content[offset : offset + size])

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Copy bytes from `offset` on; the number of them."""
        piece = self._content[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)

    def map(self) -> memoryview:
        """The bytes themselves."""
        return self._content

    def will_need(self, offset: int, nbytes: int) -> None:
        """They are in memory."""


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
        """xxh3-128 of them."""
        return self._hash.hexdigest()

    def write(self, piece: Buffer) -> None:
        """Append bytes."""
        self._hash.update(piece)
        self._content += piece

    def flush(self) -> None:
        """Nothing is more durable here than it was."""

    def commit(self) -> None:
        """Give it its name, in place of a file that has it."""
        self._place._put(self._name, bytes(self._content), new=False)

    def commit_new(self) -> bool:
        """The same, unless the name is taken."""
        return self._place._put(self._name, bytes(self._content), new=True)


class MemoryPlace(Place):
    """Files by name. `name` is how messages call it."""

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
        """A file as it is now."""
        beneath.steps(str(self), name)
        with self._changed:
            content = self._files.get(name)
        if content is not None:
            yield MemoryFile(content)
        elif self.kind(name) == "folder":
            raise Damage(f"{self.at(name)} is no file, and not opened", path=self.at(name))
        else:
            raise FileNotFoundError(f"there is no {self.at(name)}")

    @contextmanager
    def draft(self, name: str) -> Iterator[MemoryDraft]:
        """A file to be written; drafts have no name that anybody could see."""
        beneath.steps(str(self), name)
        yield MemoryDraft(self, name)

    def settle(self, names: Iterable[str]) -> None:
        """Names are as durable as the rest."""

    def list(self, folder: str = "") -> list[str]:
        """The first steps of all names below a folder."""
        beneath.steps(str(self), folder)
        start = f"{folder}/" if folder else ""
        with self._changed:
            return sorted({name[len(start) :].split("/")[0] for name in self._files if name.startswith(start)})

    def walk(self, folder: str = "") -> Iterator[tuple[str, Kind]]:
        """Every folder and file, folders before what is in them."""
        for each in self.list(folder):
            name = f"{folder}/{each}" if folder else each
            kind = self.kind(name)
            if kind is not None:
                yield name, kind
            if kind == "folder":
                yield from self.walk(name)

    def kind(self, name: str) -> Kind | None:
        """A folder is there as long as a file is in it."""
        beneath.steps(str(self), name)
        with self._changed:
            if name in self._files:
                return "file"
            return "folder" if any(each.startswith(f"{name}/") for each in self._files) else None

    def remove(self, name: str) -> bool:
        """Forget a file."""
        beneath.steps(str(self), name)
        with self._changed:
            return self._files.pop(name, None) is not None

    def sweep(self) -> None:
        """Drafts of processes that were killed went with them."""

    @contextmanager
    def lock(self, name: str, *, shared: bool = False, wait: bool = False, signature: bytes = b"") -> Iterator[None]:
        """A count of holders."""
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
        """Whether one holds it alone."""
        beneath.steps(str(self), name)
        with self._changed:
            return self._locks.get(name, 0) < 0

    def _free(self, name: str, shared: bool) -> bool:
        holders = self._locks.get(name, 0)
        return holders >= 0 if shared else not holders

    def _put(self, name: str, content: bytes, *, new: bool) -> bool:
        """What drafts end in."""
        with self._changed:
            if new and name in self._files:
                return False
            self._files[name] = content
            return True
