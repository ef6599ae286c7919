"""The contract of a backend, which arranges the fields of a part in files that the usual libraries can read.

A backend does not write. It returns the bytes of whole files in order, so that a single writer (parts/commit.py) deals with the
place and all its failures.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from kdcache.base.atomic import Buffer
from kdcache.codecs.codec import Field
from kdcache.store.blocks import Cut
from kdcache.store.plan import PartId, Plan


@dataclass(frozen=True)
class FieldExtent:
    """Where one field is stored in its file."""

    offset: int
    stored: tuple[tuple[int, int], ...] | None
    """(offset, bytes) of every block if the blocks are compressed, else None."""


@dataclass(frozen=True)
class FileImage:
    """A file to write: its path in the cache, its bytes in order, and the fields in it."""

    path: str
    pieces: Iterable[Buffer]
    extents: dict[str, FieldExtent]


class Backend(Protocol):
    """The file format of parts: HDF5 or Zarr."""

    def path(self, part: PartId, field: Field) -> str:
        """Path of the file with a field of a part, relative to the cache."""

    def images(self, plan: Plan, part: PartId, cuts: list[Cut]) -> list[FileImage]:
        """The files of a part."""

    def frame(self, plan: Plan, view: int) -> dict[str, bytes]:
        """Files that the format's library needs to open a view, and that depend only on the plan: path -> content."""
