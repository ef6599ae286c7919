"""Run the teacher on one batch before anything is written, to learn its time, its values and whether it fits in memory."""

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kdcache.base.progress import Progress
from kdcache.errors import BadImage, Unavailable
from kdcache.images import load
from kdcache.images.source import Listing, Source
from kdcache.signals.shown import Shown, needed_tokens, token_batch
from kdcache.signals.teacher import TeacherSpec
from kdcache.store.index import ListedIds
from kdcache.store.plan import ViewPlan
from kdcache.views import view_pixels
from kdcache.views.recipe import drawable

if TYPE_CHECKING:
    import torch

    from kdcache.teachers.batches import Batches
    from kdcache.teachers.teacher import Teacher

WARM_UP_LIMIT = 5.0
QUICK_LIMIT = 20.0
"""Longest time, in seconds, that the measurements of an estimate may take."""


@dataclass(frozen=True)
class Trial:
    """The signals a teacher emitted for the first readable images, and how long it took."""

    batch: int
    emitted: dict[str, "torch.Tensor"]
    """Signals of the measured images, by name."""
    render_seconds: float
    """Seconds it takes to render one view on one core."""
    teacher_seconds: float
    """Seconds it takes to run the teacher on one batch."""


def run_trial(
    teacher: "Teacher",
    source: Source,
    listing: Listing,
    views: ViewPlan,
    batch: int,
    *,
    quick: Progress | None = None,
) -> Trial:
    """Render one batch and run the teacher on it, halving the batch for as long as the device runs out of memory.

    With `quick`, for an estimate, only a few images are measured when a batch would take long; `quick` gets a note of that.
    """
    from kdcache.teachers.batches import Batches

    if quick is not None:
        quick.start("measure", batch)
        few = _as_many_as_are_quick(teacher, source, listing, views, batch, quick)
        quick.finish()
        if few is not None:
            return few
    shown, render_seconds = _first_shown(source, listing, views, teacher.spec, batch)
    hint = "choose a smaller --size, --precision bfloat16 or another --device"
    batches = Batches(teacher, batch, hint=hint)
    emitted, seconds = _measured(batches, shown)
    return Trial(batches.size, emitted, render_seconds, seconds)


def _as_many_as_are_quick(
    teacher: "Teacher", source: Source, listing: Listing, views: ViewPlan, batch: int, progress: Progress
) -> Trial | None:
    """The trial of a batch, extrapolated from a few images if the batch would take long; None if it would not."""
    one = run_trial(teacher, source, listing, views, 1)
    progress.advance(1)
    count = max(1, int(QUICK_LIMIT / one.teacher_seconds))
    if count >= batch:
        return None
    few = one if count == 1 else run_trial(teacher, source, listing, views, count)
    progress.note(
        f"the teacher is slow here: measured on {len(next(iter(few.emitted.values())))} of a batch of {batch}"
    )
    return Trial(batch, few.emitted, few.render_seconds, few.teacher_seconds * batch / few.batch)


def _measured(batches: "Batches", shown: Shown) -> tuple[dict[str, "torch.Tensor"], float]:
    """The signals of one batch of these images, and the seconds it takes."""
    warm = False
    while True:
        size = batches.size
        start = time.perf_counter()
        emitted = {name: values.cpu() for name, values in batches.emit(shown[:size]).items()}
        seconds = time.perf_counter() - start
        # The first call includes allocation and kernel choice, which a build pays only once; so measure again if that is quick.
        if batches.size == size and (warm or seconds > WARM_UP_LIMIT):
            return emitted, seconds
        warm = True


def _first_shown(
    source: Source, listing: Listing, views: ViewPlan, teacher: TeacherSpec, count: int
) -> tuple[Shown, float]:
    """View 0 of the first `count` readable images, as the teacher is shown them, and the seconds one of them takes."""
    import torch

    size = teacher.preprocess.size
    found: list[NDArray[np.uint8]] = []
    seconds: list[float] = []
    read_ids: list[str] = []
    ids = [str(i) for i in listing.ids.slice(0, 10 * count).to_pylist()]
    reason = ""
    recipe = drawable(views.recipe)
    read = partial(load, source, background=recipe.background)
    render = partial(view_pixels, recipe, seed=views.seed, view=0, size=size, load=read)
    partners = ListedIds(listing)  # the other images of mixed views come from the whole dataset
    for row, image_id in enumerate(ids):
        start = time.perf_counter()
        try:
            found.append(render(row=row, ids=partners))
            read_ids.append(image_id)
            seconds.append(time.perf_counter() - start)
        except BadImage as error:
            reason = reason or f"{image_id}: {error.message}"
            continue
        if len(found) == count:
            break
    if not found:
        raise Unavailable(f"none of the first {len(ids)} images can be read ({reason})", hint="check --data")
    pixels, each = torch.from_numpy(np.stack(found)), _settled(seconds)
    if teacher.reads is None:
        return Shown(pixels), each
    batch = token_batch(needed_tokens(source), read_ids, len(found))
    return Shown(pixels, torch.from_numpy(batch.ids), torch.from_numpy(batch.lengths)), each


def _settled(seconds: list[float]) -> float:
    """The mean without the first tenth, in which a source may load what it needs for every image."""
    settled = seconds[-(-len(seconds) // 10) :] or seconds
    return sum(settled) / len(settled)
