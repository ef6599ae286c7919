"""The one pass over the missing parts: worker processes render, this thread runs the teacher, another one writes.

The three overlap, so the pass takes as long as the slowest of them, which is the teacher. A part is a pure function of the
plan: resuming is building what has no receipt, and it does not matter who builds which part, or twice.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kdcache.base.progress import Progress
from kdcache.build.devices import build_on_devices
from kdcache.build.part_buffer import PartInHand, PartWriter
from kdcache.build.prepare import Prepared
from kdcache.build.trial import out_of_memory
from kdcache.build.view_pool import pool_of
from kdcache.images.source import Source
from kdcache.render import Rendered
from kdcache.store import Store
from kdcache.store.plan import PartId

if TYPE_CHECKING:
    import torch

    from kdcache.teachers.teacher import Teacher

Share = tuple[int, int]
"""(3, 16): the third of sixteen"""


@dataclass(frozen=True)
class BuildResult:
    """What a build did, and what is there now."""

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
        """True when every part of the plan has its receipt."""
        return self.parts_missing == 0

    @property
    def images_per_second(self) -> float:
        """Views the teacher saw a second in this run."""
        return self.images / self.seconds if self.seconds else 0.0


def build(prepared: Prepared, *, only: Share | None = None, progress: Progress) -> BuildResult:
    """Build every missing part of a cache, or the missing parts of one share."""
    store = Store.create(prepared.out, prepared.plan, prepared.listing)
    with store.building(only):
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


def share_of(parts: Sequence[PartId], only: Share | None) -> list[PartId]:
    """The parts of one share: every n-th, so that shares are equally long."""
    return list(parts) if only is None else list(parts[only[0] - 1 :: only[1]])


def build_parts(
    store: Store, source: Source, teacher: "Teacher", todo: Sequence[PartId], workers: int, progress: Progress
) -> None:
    """Build these parts with one teacher."""
    ways = store.plan.ways()
    speaker = Speaker(teacher, progress)
    with pool_of(store, source, workers) as pool, PartWriter(store) as writer:
        rendered = pool.batches(batches_of(store, todo))
        for part in todo:
            hand = PartInHand(store, part, ways)
            while not hand.full:
                batch = next(rendered)
                hand.add(speaker.say(batch), batch.digests, batch.bad)
                progress.advance(len(batch.rows), rejected=len(batch.bad))
            progress.advance(0, bytes=writer.seal(hand, speaker.facts()))
        progress.advance(0, bytes=writer.wait())


def batches_of(store: Store, parts: Sequence[PartId]) -> Iterator[tuple[int, range]]:
    """(view, rows) of every teacher batch, part by part. A batch never reaches over the end of its part."""
    for part in parts:
        rows = store.plan.rows_of(part)
        for start in range(rows.start, rows.stop, store.plan.batch):
            yield part.view, range(start, min(start + store.plan.batch, rows.stop))


class Speaker:
    """Lets the teacher say whole batches, in halves once the device runs out of memory."""

    def __init__(self, teacher: "Teacher", progress: Progress) -> None:
        self._teacher = teacher
        self._progress = progress
        self._pieces = 1

    def say(self, batch: Rendered) -> dict[str, "torch.Tensor"]:
        """What the teacher says about a rendered batch, padding included."""
        import torch

        pixels = torch.from_numpy(batch.pixels)
        while True:
            try:
                said = [self._teacher.say(piece) for piece in pixels.chunk(self._pieces)]
                return {
                    name: torch.cat([s[name] for s in said]) if len(said) > 1 else said[0][name] for name in said[0]
                }
            except out_of_memory():
                if self._pieces >= len(pixels):
                    raise
                self._pieces *= 2
                self._progress.note(
                    f"out of memory: the teacher now sees {len(pixels) // self._pieces} images at a time"
                )

    def facts(self) -> dict[str, int]:
        """What a receipt should tell: bits may differ in the last place from a build that had the memory."""
        return {"pieces": self._pieces} if self._pieces > 1 else {}
