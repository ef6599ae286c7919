"""What is learnt from: a cache, or labelled images without one.

Input: a cache or a source, or none to choose the usual one. Output: its images, their views and classes, and who spoke of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kdcache.base.newest import CACHES
from kdcache.base.notes import Notes
from kdcache.cache import Cache
from kdcache.errors import KDError, Mismatch, UsageError
from kdcache.images import open_source
from kdcache.images.paths import no_labels_hint
from kdcache.store.plan import Dataset, ViewPlan
from students.base.contracts import Defaults, Needs
from students.base.truths import CLASS
from students.base.types import LOGITS
from students.plan.checks import class_names, way_to_keep
from students.plan.opened import Opened
from students.runs.record import CacheRecord


@dataclass(frozen=True)
class TrainingData:
    """What is learnt from."""

    dataset: Dataset
    views: ViewPlan | None
    """Plan of the views as the teacher was shown them; None: the recipe says how they are drawn."""
    classes: tuple[str, ...]
    """Class names of the teacher, or where it has no classifier those of the images."""
    usable: int
    """Number of readable images, in the view with the fewest."""
    cache: CacheRecord | None
    opened: Opened
    """The cache and the images, each opened once."""


def choose_cache(named: Path | None, needs: Callable[[Cache], Needs], usual: Defaults, notes: Notes) -> Cache:
    """The one that was named, or the newest complete one that keeps the signals a training from it needs."""
    if named is not None:
        return Cache.open(named)
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
            return cache
        passed.append(f"{path.parent} {reason}")
    way = f"name one that lies elsewhere: --cache DIR; or make one: kd cache build --teacher {usual.teacher}"
    if not passed:
        raise UsageError(f"no --cache, and there is no cache in ./{CACHES}", hint=way)
    raise Mismatch(f"no cache in ./{CACHES} can be trained from: {'; '.join(passed)}", hint=way)


def data_of_cache(
    cache: Cache, views: tuple[int, ...] | None, needs: Needs, data: str | None, notes: Notes
) -> TrainingData:
    """The images of a cache, which lie at `data` now where they have moved; a note counts those that were rejected."""
    plan = cache.plan
    codecs = {stored.signal.name: stored.codec for stored in plan.signals}
    wanted = range(cache.views) if views is None else [view for view in views if 0 <= view < cache.views]
    rejected = 0 if cache.missing else max((len(cache.rejected(view)) for view in wanted), default=0)
    usable = len(cache) - rejected
    if rejected:
        was = "1 was" if rejected == 1 else f"{rejected:,} were"
        notes.add(f"{usable:,} of {len(cache):,} images; {was} rejected")
    return TrainingData(
        dataset=plan.dataset,
        views=plan.views,
        classes=_classes(cache, needs),
        usable=usable,
        cache=CacheRecord(path=str(cache.path.resolve()), identity=plan.identity, teacher=plan.teacher, signals=codecs),
        opened=Opened(plan.dataset, cache, data),
    )


def _classes(cache: Cache, needs: Needs) -> tuple[str, ...]:
    """Those of the teacher where it is matched by class; else those of the images, or of a teacher that names some."""
    teacher, images = class_names(cache.teacher), cache.plan.dataset.classes
    by_class = any(signal.names_classes for signal in cache.teacher.signals if signal.name in needs.signals)
    classes = teacher or images if by_class else images or teacher
    if needs.classes and not classes:
        raise Mismatch(
            f"neither the teacher of {cache.path} nor the images of {cache.plan.dataset.name} have class names: there are "
            "no classes to learn",
            hint=way_to_keep(cache.teacher, cache.plan.dataset.source, (LOGITS,)),
        )
    return classes or ()


def data_of_images(data: str | None, notes: Notes) -> TrainingData:
    """Images without any teacher."""
    if data is None:
        notes.add("no --data: using the embedded shapes")
    source = open_source(data or "shapes")
    listing = source.scan()
    dataset = Dataset.of(source, listing)
    opened = Opened(dataset, None, data, (source, listing))
    classes = () if listing.labels is None else listing.classes or ()
    return TrainingData(dataset, None, classes, len(listing), None, opened)


def expect_classes(images: TrainingData, needs: Needs) -> None:
    """UsageError where a training without a teacher needs classes, and the images have none."""
    if images.classes or not (needs.classes or CLASS in needs.columns):
        return
    source, _ = images.opened.images
    raise UsageError(
        f"the images of {source.name} have no labels",
        hint=no_labels_hint(source.spec(), "put them into one folder a class, or train from a cache"),
    )
