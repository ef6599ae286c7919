"""The caches of a training: opened, of the same images, and joined by image id. The first one decides on rows, order and views.

Input: those that were named, none to choose the usual one, or the record of a run that goes on. Output: one `TrainingCaches`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcache.base.newest import CACHES
from kdcache.base.notes import Notes
from kdcache.base.strict import Strict
from kdcache.cache import Cache
from kdcache.errors import KDError, Mismatch, UsageError
from kdcache.store.plan import Dataset, PartId, ViewPlan
from kdcache.stream.joined import Joined, join
from students.base.contracts import Defaults, Needs
from students.options import NamedCache
from students.runs.caches import CacheRecord

Opened = tuple[str | None, Cache]
"""Name of a cache, if it has one, and the cache."""


@dataclass(frozen=True)
class TrainingCaches:
    """One cache, or several of the same images."""

    all: tuple[Cache, ...]
    records: tuple[CacheRecord, ...]
    """The same, as run.json keeps them."""
    joined: Joined
    """The same, as one."""

    @property
    def first(self) -> Cache:
        """The cache that decides on rows, order and views."""
        return self.all[0]

    @property
    def views(self) -> int:
        """Number of views that all of them have."""
        return min(cache.views for cache in self.all)

    @property
    def missing(self) -> list[PartId]:
        """Parts of any of them that are not built."""
        return [part for cache in self.all for part in cache.missing]

    def rejected(self, view: int) -> NDArray[np.int64]:
        """Rows of the first whose image could not be used in a view of one of them."""
        return self.joined.rejected(view)


def choose_caches(
    named: Sequence[NamedCache], needs: Callable[[Cache], Needs], usual: Defaults, notes: Notes
) -> list[Opened]:
    """Those that were named, or the newest complete one that keeps the signals a training from it needs."""
    if named:
        return [(each.name, Cache.open(each.path)) for each in named]
    passed = []
    for path in sorted(CACHES.glob("*/plan.json"), key=lambda p: p.stat().st_mtime_ns, reverse=True):
        try:
            cache = Cache.open(path.parent)
            lacking = [signal for signal in needs(cache).signals if signal not in cache.plan.codecs()]
            reason = "is not finished" if cache.missing else f"keeps no {' and no '.join(lacking)}" if lacking else None
        except KDError as error:
            reason = error.message
        if reason is None:
            notes.add(f"no --cache: using {path.parent}, the newest that fits")
            return [(None, cache)]
        passed.append(f"{path.parent} {reason}")
    way = f"name one that lies elsewhere: --cache DIR; or make one: kd cache build --teacher {usual.teacher}"
    if not passed:
        raise UsageError(f"no --cache, and there is no cache in ./{CACHES}", hint=way)
    raise Mismatch(f"no cache in ./{CACHES} can be trained from: {'; '.join(passed)}", hint=way)


def records_of(caches: Sequence[Opened]) -> tuple[CacheRecord, ...]:
    """Caches as run.json keeps them."""
    return tuple(
        CacheRecord(
            path=str(cache.path.resolve()),
            identity=cache.plan.identity,
            teacher=cache.teacher,
            signals={stored.signal.name: stored.codec for stored in cache.plan.signals},
            name=name,
        )
        for name, cache in caches
    )


def caches_again(records: Sequence[CacheRecord]) -> list[Opened]:
    """The caches of a run; Mismatch where another one lies in the place of one of them now, or is recorded as what it is not."""
    caches = [(record.name, _same_cache(record)) for record in records]
    for recorded, (now,) in zip(records, (records_of([each]) for each in caches), strict=True):
        _expect_recorded(_without_paths(recorded), _without_paths(now), now.path)
    return caches


def expect_recorded_images(dataset: Dataset, views: ViewPlan, first: Cache) -> None:
    """Mismatch where a run recorded other images or views than those of its first cache; where the images lie may differ."""
    plan = first.plan
    here = {"name": plan.dataset.name, "source": plan.dataset.source}
    _expect_recorded(dataset.model_copy(update=here), plan.dataset, str(first.path), "dataset")
    _expect_recorded(views.model_copy(update={"count": plan.views.count}), plan.views, str(first.path), "views")


def _without_paths(record: CacheRecord) -> CacheRecord:
    return record.model_copy(update={"path": "", "teacher": record.teacher.without_paths()})


def _expect_recorded(recorded: Strict, now: Strict, cache: str, *place: str) -> None:
    """Mismatch, which names the field, where a run recorded another value of a cache than it has."""
    if (field := _first_difference(recorded.plain(), now.plain())) is not None:
        raise Mismatch(
            f"run.json has another {'.'.join((*place, *field))} than {cache}", hint="restore run.json from a copy"
        )


def _first_difference(one: Any, other: Any) -> tuple[str, ...] | None:
    """Keys that lead to the first value that differs; None: nothing does."""
    if not (isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys()):
        return None if one == other else ()
    inside = ((key, _first_difference(value, other[key])) for key, value in one.items())
    return next(((key, *rest) for key, rest in inside if rest is not None), None)


def _same_cache(record: CacheRecord) -> Cache:
    cache = Cache.open(Path(record.path))
    if cache.plan.identity != record.identity:
        raise Mismatch(
            f"{cache.path} is another cache now: its identity is {cache.plan.identity}, the run began with "
            f"{record.identity}",
            hint="bring the old cache back, or start a new run",
        )
    return cache


def joined_caches(
    caches: Sequence[Opened], records: Sequence[CacheRecord], *, views: Sequence[int] | None, shown: bool
) -> TrainingCaches:
    """Caches joined; Mismatch, both named, where the images are not the same, or the `views` of them that a student is shown.

    `shown`: whether the student is shown images at all.
    """
    all_of_them = tuple(cache for _, cache in caches)
    if views is None:
        _expect_as_many_views(all_of_them)
    joined = join({name or str(number): cache for number, (name, cache) in enumerate(caches)}, same_views=False)
    if shown:
        try:
            joined.expect_same_views()
        except Mismatch as error:
            error.hint = (
                "the student is shown one view for all teachers: build the caches with the same --recipe and --seed"
            )
            raise
    return TrainingCaches(all_of_them, tuple(records), joined)


def _expect_as_many_views(caches: Sequence[Cache]) -> None:
    """Mismatch where one cache has more views than another, and nobody says which to use."""
    fewest, most = min(caches, key=lambda cache: cache.views), max(caches, key=lambda cache: cache.views)
    if fewest.views != most.views:
        raise Mismatch(
            f"{most.path} has {most.views} views, {fewest.path} has {fewest.views}",
            hint=f"use those that both have: --views {','.join(map(str, range(min(fewest.views, 8))))}",
        )
