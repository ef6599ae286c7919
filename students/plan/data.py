"""What is learnt from: caches, or labelled images without any.

Input: caches or a source, or none to choose the usual one. Output: the images, their views and classes, and the teachers of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kdcache.base.notes import Notes
from kdcache.errors import Mismatch, UsageError
from kdcache.images import open_source
from kdcache.images.paths import no_labels_hint
from kdcache.store.plan import Dataset, ViewPlan
from students.base.contracts import Needs
from students.base.truths import CLASS
from students.base.types import LOGITS
from students.plan.caches import TrainingCaches
from students.plan.checks import class_names, way_to_keep
from students.plan.opened import Opened
from students.plan.sides import teacher_by_class
from students.runs.caches import CacheRecord


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
    caches: tuple[CacheRecord, ...]
    """The caches as run.json keeps them; none for labelled images without a teacher."""
    opened: Opened
    """The caches and the images, each opened once."""


def data_of_caches(
    caches: TrainingCaches, views: tuple[int, ...] | None, needs: Needs, data: str | None, notes: Notes
) -> TrainingData:
    """The images of caches, which lie at `data` now where they have moved; a note counts those that were rejected."""
    plan, count = caches.first.plan, len(caches.first)
    wanted = range(caches.views) if views is None else [view for view in views if 0 <= view < caches.views]
    rejected = 0 if caches.missing else max((len(caches.rejected(view)) for view in wanted), default=0)
    usable = count - rejected
    if rejected:
        notes.add(count_of_usable(usable, count))
    return TrainingData(
        dataset=plan.dataset,
        views=plan.views,
        classes=_classes(caches.records, plan.dataset, needs),
        usable=usable,
        caches=caches.records,
        opened=Opened(plan.dataset, caches, data),
    )


def count_of_usable(usable: int, count: int) -> str:
    """What is printed of images some of which could not be read when their cache was built."""
    rejected = count - usable
    was = "1 was" if rejected == 1 else f"{rejected:,} were"
    return f"{usable:,} of {count:,} images; {was} rejected"


def _classes(caches: Sequence[CacheRecord], images: Dataset, needs: Needs) -> tuple[str, ...]:
    """Those of the teacher that is matched by class; else those of the images, or of a teacher that names some."""
    matched = teacher_by_class(caches, needs.signals)
    named = [names for cache in caches if (names := class_names(cache.teacher))]
    classes = class_names(matched) if matched else images.classes or next(iter(named), None)
    if needs.classes and not classes:
        teachers = "the teacher of " + " nor that of ".join(cache.path for cache in caches)
        raise Mismatch(
            f"neither {teachers} nor the images of {images.name} have class names: there are no classes to learn",
            hint=way_to_keep(caches[0].teacher, images.source, (LOGITS,)),
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
    return TrainingData(dataset, None, classes, len(listing), (), opened)


def expect_classes(images: TrainingData, needs: Needs) -> None:
    """UsageError where a training without a teacher needs classes, and the images have none."""
    if images.classes or not (needs.classes or CLASS in needs.columns):
        return
    source, _ = images.opened.images
    raise UsageError(
        f"the images of {source.name} have no labels",
        hint=no_labels_hint(source.spec(), "put them into one folder a class, or train from a cache"),
    )
