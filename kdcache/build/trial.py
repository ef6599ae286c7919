"""One batch, rendered and said before anything is written: what it costs, what it looks like, whether it fits in memory."""

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kdcache.base.progress import Progress
from kdcache.errors import BadImage, StorageError, Unavailable
from kdcache.images import load
from kdcache.images.source import Listing, Source
from kdcache.store.index import ListedIds
from kdcache.store.plan import ViewPlan
from kdcache.views import view_pixels
from kdcache.views.recipe import drawable

if TYPE_CHECKING:
    import torch

    from kdcache.teachers.teacher import Teacher

WARM_UP_LIMIT = 5.0
QUICK_LIMIT = 20.0
"""seconds an estimate may take to measure"""


@dataclass(frozen=True)
class Trial:
    """What a teacher said about the first good images, and how long it took."""

    batch: int
    said: dict[str, "torch.Tensor"]
    render_seconds: float
    """a view, on one core"""
    say_seconds: float
    """a batch"""


def run_trial(
    teacher: "Teacher",
    source: Source,
    listing: Listing,
    views: ViewPlan,
    batch: int,
    *,
    quick: Progress | None = None,
) -> Trial:
    """Render and say one batch, halving it for as long as the device has not the memory for it.

    `quick`, for an estimate, measures a few images instead where a batch would take long, and is told so.
    """
    if quick is not None:
        quick.start("measure", batch)
        few = _as_many_as_are_quick(teacher, source, listing, views, batch, quick)
        quick.finish()
        if few is not None:
            return few
    start = time.perf_counter()
    pixels = _first_views(source, listing, views, teacher.spec.preprocess.size, batch)
    render_seconds = (time.perf_counter() - start) / len(pixels)
    while True:
        try:
            said, seconds = _say(teacher, pad(pixels[:batch], batch))
            good = min(batch, len(pixels))
            return Trial(batch, {name: values[:good] for name, values in said.items()}, render_seconds, seconds)
        except out_of_memory():
            if batch == 1:
                message = "the teacher does not fit into the memory of the device, even with one image a batch"
                raise StorageError(
                    message, hint="choose a smaller --size, --precision bfloat16 or another --device"
                ) from None
            batch //= 2


def _as_many_as_are_quick(
    teacher: "Teacher", source: Source, listing: Listing, views: ViewPlan, batch: int, progress: Progress
) -> Trial | None:
    """What a few images say of a batch that would take long; None when a batch does not."""
    one = run_trial(teacher, source, listing, views, 1)
    progress.advance(1)
    count = max(1, int(QUICK_LIMIT / one.say_seconds))
    if count >= batch:
        return None
    few = one if count == 1 else run_trial(teacher, source, listing, views, count)
    progress.note(f"the teacher is slow here: measured on {len(next(iter(few.said.values())))} of a batch of {batch}")
    return Trial(batch, few.said, few.render_seconds, few.say_seconds * batch / few.batch)


def pad(pixels: NDArray[np.uint8], batch: int) -> NDArray[np.uint8]:
    """Fill a batch up with black images: a row's bits depend on the size of its batch, so that size never changes."""
    missing = batch - len(pixels)
    return np.pad(pixels, ((0, missing), (0, 0), (0, 0), (0, 0))) if missing else pixels


def out_of_memory() -> type[BaseException]:
    """The error a device raises when its memory is used up."""
    import torch

    return torch.OutOfMemoryError


def _say(teacher: "Teacher", pixels: NDArray[np.uint8]) -> tuple[dict[str, "torch.Tensor"], float]:
    import torch

    warm = False
    batch = torch.from_numpy(pixels)
    while True:
        start = time.perf_counter()
        said = {name: values.cpu() for name, values in teacher.say(batch).items()}
        seconds = time.perf_counter() - start
        # The first call also pays for allocation and kernel choice, which a build pays once; measure again when that is cheap.
        if warm or seconds > WARM_UP_LIMIT:
            return said, seconds
        warm = True


def _first_views(
    source: Source, listing: Listing, views: ViewPlan, size: tuple[int, int], count: int
) -> NDArray[np.uint8]:
    """The first `count` images that can be read, as view 0."""
    found: list[NDArray[np.uint8]] = []
    ids = [str(i) for i in listing.ids.slice(0, 10 * count).to_pylist()]
    reason = ""
    recipe = drawable(views.recipe)
    read = partial(load, source, background=recipe.background)
    render = partial(view_pixels, recipe, seed=views.seed, view=0, size=size, load=read)
    partners = ListedIds(listing)  # of mixed views; they come from the whole dataset
    for row, image_id in enumerate(ids):
        try:
            found.append(render(row=row, ids=partners))
        except BadImage as error:
            reason = reason or f"{image_id}: {error.message}"
            continue
        if len(found) == count:
            break
    if not found:
        raise Unavailable(f"none of the first {len(ids)} images can be read ({reason})", hint="check --data")
    return np.stack(found)
