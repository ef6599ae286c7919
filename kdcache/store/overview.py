"""List the caches in a folder: `kd cache list`.

Input: a folder of caches, such as ./kd/caches. Output: one entry for each folder in it, newest first, so that the first one is
the cache that commands use when none is named. Plans and file names are read, but not the parts. A folder that cannot be read
has an entry too, with the reason, because it takes space and may be worth repairing.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from kdcache.base.atomic import storage_errors
from kdcache.base.figures import iso, moment
from kdcache.base.newest import CACHES
from kdcache.errors import Damage, KDError
from kdcache.store.frame import PLAN
from kdcache.store.parts.there import names_of, receipt_name
from kdcache.store.plan import Plan
from kdcache.store.store import Store


@dataclass(frozen=True)
class Contents:
    """The contents of a readable cache."""

    plan: Plan
    parts_missing: int
    bytes: int
    """Total size of the files of all built parts."""

    def plain(self) -> dict[str, Any]:
        """As JSON values, with the same keys as `kd cache info --json` where the meaning is the same."""
        plan = self.plan
        return {
            "complete": self.parts_missing == 0,
            "teacher": plan.teacher.family,
            "size": plan.teacher.size,
            "random_weights": plan.teacher.weights.random,
            "data": plan.dataset.name,
            "rows": plan.dataset.rows,
            "views": plan.views.count,
            "signals": {stored.signal.name: stored.codec for stored in plan.signals},
            "parts": len(plan.parts()),
            "parts_missing": self.parts_missing,
            "bytes": self.bytes,
            "identity": plan.identity,
        }


@dataclass(frozen=True)
class CacheEntry:
    """One folder in the list of caches."""

    path: Path
    planned: datetime | None
    """When its plan was written; None if it has no plan."""
    contents: Contents | None
    """Contents of the cache; None if it cannot be read."""
    reason: str | None
    """Why it cannot be read; None if it can."""

    def plain(self) -> dict[str, Any]:
        """As JSON values; for an unreadable folder only its path and the reason."""
        about = {"path": str(self.path), "planned": iso(self.planned), "readable": self.contents is not None}
        return {**about, **({"reason": self.reason} if self.contents is None else self.contents.plain())}


def list_caches(root: Path = CACHES) -> list[CacheEntry]:
    """The caches in a folder, by time of their plan, newest first; folders without a plan come last."""
    with storage_errors(root, "list"):
        folders = [path for path in root.iterdir() if path.is_dir() and path.name[0] != "."] if root.is_dir() else []
    dated = sorted(((_planned(path), path) for path in folders), key=_newest_last, reverse=True)
    return [_entry(path, planned) for planned, path in dated]


def _newest_last(dated: tuple[int | None, Path]) -> tuple[int, str]:
    """Sort key; it must give the same order as `newest_cache`."""
    planned, path = dated
    return (-1 if planned is None else planned), path.name


def _planned(cache: Path) -> int | None:
    """When the plan was written, in nanoseconds since 1970; None if there is no plan."""
    try:
        return os.stat(cache / PLAN).st_mtime_ns if (cache / PLAN).is_file() else None
    except OSError:
        return None


def _entry(path: Path, planned: int | None) -> CacheEntry:
    when = None if planned is None else moment(planned)
    try:
        store = Store.open(path)
        contents = Contents(store.plan, store.missing_count, sum(_sizes(store)))
    except KDError as error:
        return CacheEntry(path, when, None, error.message)
    return CacheEntry(path, when, contents, None)


def _sizes(store: Store) -> Iterator[int]:
    """Sizes of the files of built parts, from the file system; receipts, which also have them, are not opened."""
    for part in store.built():
        for name in names_of(store.plan, store.fields, part):
            if name != receipt_name(part):
                yield _size(store, name)


def _size(store: Store, name: str) -> int:
    try:
        return store.place.size(name)
    except (FileNotFoundError, Damage):  # removed since it was listed, or not a file: `kd cache verify` reports that
        return 0
