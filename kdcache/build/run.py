"""The pass over the missing parts: worker processes render, this thread runs the teacher, another thread writes.

The three overlap, so the pass takes as long as the slowest of them, usually the teacher. A part is a pure function of the
plan: to resume is to build the parts without a receipt, and it does not matter which machine builds a part, or if two do.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kdcache.base.progress import Progress
from kdcache.build.devices import build_on_devices
from kdcache.build.parts import build_parts
from kdcache.build.prepare import Prepared
from kdcache.store import Store
from kdcache.store.frame import expect_plan
from kdcache.store.plan import PartId

Portion = tuple[int, int]
"""One of several equal shares of the work: (3, 16) is the third of sixteen shares."""


@dataclass(frozen=True)
class BuildResult:
    """What a build did, and what the cache contains now."""

    path: Path
    rows: int
    views: int
    parts_built: int
    parts_missing: int
    images: int
    rejected: int
    seconds: float
    bytes: int

    @property
    def complete(self) -> bool:
        """True when every part of the plan has a receipt."""
        return self.parts_missing == 0

    @property
    def images_per_second(self) -> float:
        """Views per second that the teacher was run on in this build."""
        return self.images / self.seconds if self.seconds else 0.0


def build(prepared: Prepared, *, only: Portion | None = None, progress: Progress) -> BuildResult:
    """Build the missing parts of a cache, or only those of one share."""
    return build_missing(begun(prepared), prepared, only=only, progress=progress)


def begun(prepared: Prepared) -> Store:
    """Open the cache of a build: create a new one without parts, or open the one to continue."""
    return Store.create(prepared.out, prepared.plan, prepared.listing, prepared.store)


def build_missing(store: Store, prepared: Prepared, *, only: Portion | None = None, progress: Progress) -> BuildResult:
    """Build the missing parts of an open cache, or only those of one share."""
    with store.building(only):
        expect_plan(store.place, store.plan)  # it was read before the teacher was loaded and measured
        asked = share_of(store.plan.parts(), only)
        absent = set(store.missing(sizes=True))
        todo = [part for part in asked if part in absent]
        started = time.perf_counter()
        rows = {part: len(store.plan.rows_of(part)) for part in asked}
        progress.start("build", sum(rows.values()), done=sum(n for part, n in rows.items() if part not in absent))
        devices = prepared.options.devices
        if len(devices) > 1:
            build_on_devices(store, prepared, todo, progress)
        elif todo:
            build_parts(store, prepared.source, prepared.teacher, todo, prepared.options.render_workers, progress)
        progress.finish()
        seconds = time.perf_counter() - started
        rejected = store.write_rejected()
    return BuildResult(
        path=prepared.out,
        rows=store.plan.dataset.rows,
        views=store.plan.views.count,
        parts_built=len(todo),
        parts_missing=store.missing_count,
        images=sum(rows[part] for part in todo),
        rejected=rejected,
        seconds=seconds,
        bytes=store.bytes(),
    )


def share_of(parts: Sequence[PartId], only: Portion | None) -> list[PartId]:
    """The parts of one share: every n-th part, so that shares are equally long."""
    return list(parts) if only is None else list(parts[only[0] - 1 :: only[1]])
