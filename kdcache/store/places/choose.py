"""Get the place for a path."""

from pathlib import Path

from kdcache.store.places.local import LocalPlace
from kdcache.store.places.place import Place


def place_at(where: Path | Place) -> Place:
    """The place of a cache that is given as a path or as a place."""
    return where if isinstance(where, Place) else LocalPlace(where)
