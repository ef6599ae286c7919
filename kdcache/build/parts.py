"""Build given parts with one teacher: worker processes render, this thread runs the teacher, another one writes."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kdcache.base.progress import Progress
from kdcache.build.part_buffer import PartInHand, PartWriter
from kdcache.build.trial import out_of_memory
from kdcache.build.view_pool import pool_of
from kdcache.images.source import Source
from kdcache.render import Rendered
from kdcache.signals.padded import joined
from kdcache.store import Store
from kdcache.store.plan import PartId

if TYPE_CHECKING:
    import torch

    from kdcache.teachers.teacher import Teacher


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
                return {name: joined([each[name] for each in said]) for name in said[0]}
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
