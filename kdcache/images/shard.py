"""Read members of tar files in random order.

Input: shards, each a named range of a file that is a tar. Output: the bytes of the member that an id `shard name/member` names.
A shard is indexed when one of its members is first requested. The index takes 32 bytes a member; when all indexes grow too
large, those of the least recently used shards are dropped. Each read is checked against the member's header.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcache.errors import BadImage, Damage, Unavailable, UsageError
from kdcache.images.folder import MAX_FILE_BYTES
from kdcache.images.tarscan import Member, Reader, members
from kdcache.images.unique import Lookup

_KEPT_MEMBERS = 4_000_000
Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Shard:
    """A tar: a whole file, or a range of bytes within one."""

    name: str
    path: str
    start: int = 0
    length: int | None = None
    """Number of bytes; None: to the end of the file."""

    @contextmanager
    def open(self) -> Iterator[tuple[Reader, int, Stamp]]:
        """Yield a reader, the offset where the tar ends, and a stamp that changes when the file changes."""
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise Unavailable(
                f"cannot open {self.path}: {error.strerror}", hint="check the path and the disk"
            ) from error
        try:
            status = os.fstat(handle)
            stop = status.st_size if self.length is None else self.start + self.length
            yield _reader(handle, self.path), stop, (status.st_ino, status.st_size, status.st_mtime_ns)
        finally:
            os.close(handle)

    def members(self, read: Reader, stop: int) -> list[tuple[str, Member]]:
        """All plain files in the tar with their names as text."""
        where = self.path if self.length is None else f"{self.name} in {self.path}"
        return [(_text(m.name, where), m) for m in members(read, self.start, stop, where) if m.is_file]


def _reader(handle: int, path: str) -> Reader:
    def read(offset: int, length: int) -> bytes:
        try:
            return os.pread(handle, length, offset)
        except OSError as error:
            raise Unavailable(f"cannot read {path}: {error.strerror}", hint="check the disk") from error

    return read


def _text(name: bytes, where: str) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"member name {name!r} in {where} is not UTF-8, so it cannot be an image id", hint="pack that tar again"
        ) from error


@dataclass(frozen=True)
class _Index:
    stamp: Stamp
    lookup: Lookup
    headers: NDArray[np.int64]
    ends: NDArray[np.int64]


class Shards:
    """A set of shards whose members are read by id. Pickles without its indexes, which are made again when needed."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._shards = {shard.name: shard for shard in shards}
        self._indexes: OrderedDict[str, _Index] = OrderedDict()
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Shard]:
        return iter(self._shards.values())

    def __reduce__(self) -> tuple[Any, ...]:
        return Shards, (list(self._shards.values()),)

    def read(self, image_id: str) -> bytes:
        """The bytes of one member. BadImage when there is none of that name."""
        shard, member = self._split(image_id)
        with shard.open() as (read, stop, stamp):
            index = self._index(shard, read, stop, stamp)
            for place in index.lookup.candidates(member):
                raw = _member(read, int(index.headers[place]), int(index.ends[place]), member, shard.path)
                if raw is not None:
                    return raw
        raise BadImage(f"no member {member!r} in {shard.name}")

    def _split(self, image_id: str) -> tuple[Shard, str]:
        slash = image_id.find("/")
        while slash >= 0:
            if shard := self._shards.get(image_id[:slash]):
                return shard, image_id[slash + 1 :]
            slash = image_id.find("/", slash + 1)
        raise BadImage(f"image id {image_id!r} names none of the {len(self._shards)} tars")

    def _index(self, shard: Shard, read: Reader, stop: int, stamp: Stamp) -> _Index:
        with self._lock:
            index = self._indexes.get(shard.name)
            if index is not None and index.stamp == stamp:
                self._indexes.move_to_end(shard.name)
                return index
        found = shard.members(read, stop)
        headers = np.fromiter((m.header for _, m in found), np.int64)
        ends = np.fromiter((m.data + m.size for _, m in found), np.int64)
        index = _Index(stamp, Lookup(name for name, _ in found), headers, ends)
        with self._lock:
            self._indexes[shard.name] = index
            while len(self._indexes) > 1 and sum(len(i.headers) for i in self._indexes.values()) > _KEPT_MEMBERS:
                self._indexes.popitem(last=False)
        return index


def _member(read: Reader, header: int, end: int, name: str, path: str) -> bytes | None:
    if end - header > MAX_FILE_BYTES:
        raise BadImage(f"{end - header} bytes are more than {MAX_FILE_BYTES}")
    raw = read(header, end - header)
    if len(raw) < end - header:
        raise Damage(f"{path} is truncated within {name!r}", hint="fetch that file again")
    found = next(members(lambda offset, length: raw[offset : offset + length], 0, len(raw), path))
    return raw[found.data :] if found.name == name.encode() else None
