"""Chooses the number of images and the batch of a comparison, so that a slow teacher does not run for hours.

Input: the options. Output: the images, how many there are in all, and the batch. Values that the user gave are kept.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from kdcache.base.figures import plural
from kdcache.base.progress import Progress
from kdcache.base.strict import Strict
from kdcache.build.options import BuildOptions
from kdcache.build.prepare import prepare
from kdcache.errors import UsageError
from kdcache.images import open_source
from kdcache.images.opening import parse
from kdcache.images.source import Listing, Source
from students.compare.arms import Arm
from students.compare.options import CompareOptions

MOST_IMAGES = 1024
PATIENCE = 75.0
"""Longest time, in seconds, that the teacher of a comparison may run, unless the user gave number of images and batch."""
LEAST_BATCH = 4
"""Smallest batch that is chosen: with fewer images, most of a step is overhead."""


class Amount(Strict):
    """Number of images and batch size of a comparison."""

    data: str
    """Source of the images the cache is built from and the students are trained on."""
    images: int
    whole: int
    """Number of images in the whole source, which the costs of the job are computed for."""
    bytes: int | None
    """Size of all images of the source on disk, in bytes; None if they are generated or remote."""
    batch: int


@dataclass(frozen=True)
class _Wish:
    images: int
    batch: int


def amount(options: CompareOptions, arms: tuple[Arm, ...], batch: int, progress: Progress) -> Amount:
    """Choose images and batch; `batch` is the recipe's. A slow teacher gets fewer images and smaller batches."""
    data = options.build.data or "shapes"
    source = open_source(data)
    listing = source.scan()
    whole = len(listing)
    wish = _Wish(min(options.images or MOST_IMAGES, whole), options.batch or batch)
    check_batch(options.batch, wish.images)
    if options.images is None or options.batch is None:
        build = replace(options.build, data=few_of(data, wish.images, whole))
        wish = _affordable(options, arms, wish, _teacher_seconds(build, progress), progress)
    images, batch = min(wish.images, whole), wish.batch
    if batch > images:
        batch = batch_for(images)
        progress.note(f"{plural(images, 'image')} are less than one batch of {wish.batch:,}: {batch:,} per step")
    return Amount(
        data=few_of(data, images, whole), images=images, whole=whole, bytes=image_bytes(source, listing), batch=batch
    )


def check_batch(batch: int | None, images: int) -> None:
    """UsageError if the batch that was asked for has more images than there are."""
    if batch is not None and batch > images:
        raise UsageError(
            f"{plural(images, 'image')} are less than one batch of {batch:,}", hint=f"--train-batch {batch_for(images)}"
        )


def batch_for(images: int) -> int:
    """A batch for a few images: a power of two, with four or more steps in an epoch where there are enough images."""
    return 1 << max(0, (images // 4).bit_length() - 1)


def image_bytes(source: Source, listing: Listing) -> int | None:
    """Size in bytes of these image files, or of the archives they are in."""
    spec = source.spec()
    spec = spec["of"] if spec["kind"] == "few" else spec
    place = spec.get("path", spec.get("pattern"))
    if place is None or not Path(str(place)).exists():
        return None
    path = Path(str(place))
    if path.is_file():
        return path.stat().st_size
    if spec["kind"] == "folder":
        return sum((path / str(image_id)).stat().st_size for image_id in listing.ids)
    return None


def few_of(data: str, images: int, whole: int) -> str:
    """A source of at most this many of these images, of which there are `whole`."""
    given = parse(data)
    if given["kind"] == "shapes":  # the first ones, painted as large as the teacher sees them
        return "shapes:" + ",".join(f"{key}={its}" for key, its in {**given, "count": images}.items() if key != "kind")
    return data if whole <= images else f"few:{images}:{data}"


def _teacher_seconds(build: BuildOptions, progress: Progress) -> float:
    """Seconds that the teacher takes for one image."""
    trial = prepare(build, quick=True, progress=progress).trial
    assert trial is not None, "quick=True always measures"
    return trial.teacher_seconds / trial.batch


def _affordable(
    options: CompareOptions, arms: tuple[Arm, ...], wish: _Wish, seconds: float, progress: Progress
) -> _Wish:
    """Images and batch that the teacher can process in PATIENCE seconds, in the build and in all steps of on-stream arms."""
    connected = options.repeat * options.steps * sum(arm.teacher == "connected" for arm in arms)
    views = options.build.views

    def takes(images: int, batch: int) -> float:
        return seconds * (views * images + connected * batch)

    if takes(wish.images, wish.batch) <= PATIENCE:
        return wish
    images, batch = wish.images, wish.batch
    if options.batch is None:
        while batch > LEAST_BATCH and takes(options.images or 2 * batch, batch) > PATIENCE:
            batch //= 2
    if options.images is None:
        images = max(2 * batch, min(images, int((PATIENCE / seconds - connected * batch) / views)))
    fixed = "--images and --train-batch choose other numbers"
    progress.note(
        f"the teacher takes {seconds:.2g} s per image here: comparing on {images:,} images, {batch} per step ({fixed})"
    )
    return _Wish(images, batch)
