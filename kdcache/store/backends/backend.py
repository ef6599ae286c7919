"""What a backend does: arrange the fields of a part in files that its own libraries can read, and say where they lie.

A backend writes nothing. It hands out the bytes of whole files in order, so that one writer (parts/commit.py) cares for the
place and every failure of it is an ordinary error.
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
    """Where one field lies in its file."""

    offset: int
    stored: tuple[tuple[int, int], ...] | None
    """(offset, bytes) of every block when the blocks are compressed."""


@dataclass(frozen=True)
class FileImage:
    """A file to be written: its path in the cache, its bytes in order, and the fields in it."""

    path: str
    pieces: Iterable[Buffer]
    extents: dict[str, FieldExtent]


class Backend(Protocol):
    """HDF5 or Zarr."""

    def path(self, part: PartId, field: Field) -> str:
        """The file a field of a part is in, relative to the cache."""

    def images(self, plan: Plan, part: PartId, cuts: list[Cut]) -> list[FileImage]:
        """The files of a part."""

    def frame(self, plan: Plan, view: int) -> dict[str, bytes]:
        """Files of a view that depend on the plan alone and that its own library needs to open it: path -> content."""
