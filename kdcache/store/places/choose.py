"""Which place is meant: by its path, or it is one already."""

from pathlib import Path

from kdcache.store.places.local import LocalPlace
from kdcache.store.places.place import Place


def place_at(where: Path | Place) -> Place:
    """The place of a cache."""
    return where if isinstance(where, Place) else LocalPlace(where)
