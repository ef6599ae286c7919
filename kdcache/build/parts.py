"""Build given parts with one teacher: worker processes render, this thread runs the teacher, another one writes."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kdcache.base.progress import Progress
from kdcache.build.part_buffer import PartInHand, PartWriter
from kdcache.build.view_pool import pool_of
from kdcache.images.source import Source
from kdcache.store import Store
from kdcache.store.plan import PartId
from kdcache.teachers.batches import Batches

if TYPE_CHECKING:
    from kdcache.teachers.teacher import Teacher

WAY_OUT = "run the same command again with a --device that has more memory"


def build_parts(
    store: Store, source: Source, teacher: "Teacher", todo: Sequence[PartId], workers: int, progress: Progress
) -> None:
    """Build these parts with one teacher."""
    ways = store.plan.ways()
    batches = Batches(teacher, store.plan.batch, hint=WAY_OUT, note=progress.note)
    with pool_of(store, source, workers) as pool, PartWriter(store) as writer:
        rendered = pool.batches(batches_of(store, todo))
        for part in todo:
            hand = PartInHand(store, part, ways)
            while not hand.full:
                batch = next(rendered)
                hand.add(batches.emit(batch.shown()), batch.digests, batch.bad)
                progress.advance(len(batch.rows), rejected=len(batch.bad))
            progress.advance(0, bytes=writer.seal(hand, batches.facts))
        progress.advance(0, bytes=writer.wait())


def batches_of(store: Store, parts: Sequence[PartId]) -> Iterator[tuple[int, range]]:
    """(view, rows) of every teacher batch, part by part. A batch never reaches over the end of its part."""
    for part in parts:
        rows = store.plan.rows_of(part)
        for start in range(rows.start, rows.stop, store.plan.batch):
            yield part.view, range(start, min(start + store.plan.batch, rows.stop))
