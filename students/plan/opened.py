"""What a training reads, opened once: its cache, its training images, and the images it is judged on.

Input: what planning chose, or the record of a run that goes on. Output: one `RunInputs`, which the training is made from. Nothing
is scanned or opened a second time after it.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kdcache.cache import Cache
from kdcache.errors import Mismatch
from kdcache.images.source import Listing, Source
from kdcache.images.truths import Truths
from kdcache.store.index import ListedIds
from kdcache.store.plan import Dataset
from kdcache.store.same_images import images_again
from students.base.machine import World
from students.judging.examples import Examples
from students.judging.pictures import Labelled, labelled
from students.judging.while_training import examples_again
from students.options import MachineOptions
from students.plan.truths import NO_TRUTHS, TrainingTruths, truths_again
from students.runs.record import RunRecord

Images = tuple[Source, Listing]
"""A source and the listing that its one scan made."""


class Opened:
    """The cache of a training, and its images, which are scanned when they are first needed."""

    def __init__(self, dataset: Dataset, cache: Cache | None, data: str | None, images: Images | None = None) -> None:
        """`data`: where the images lie now, None where they lay; `images`: the same, where they are scanned already."""
        self.cache = cache
        self._dataset, self._data, self._images = dataset, data, images

    @cached_property
    def images(self) -> Images:
        """The training images; Drift or Mismatch where they are not those of the dataset any more."""
        if self._images is not None:
            return self._images
        owner = "this run" if self.cache is None else str(self.cache.path)
        anew = "start a new run" if self.cache is None else "build a new cache of these images"
        return images_again(self._dataset, self._data, owner=owner, anew=anew)

    def truths(self) -> Truths:
        """What is known of the training images, in the order of the rows of the run; nothing of it is read yet."""
        source, listing = self.images
        if self.cache is not None:
            return Truths(source, self.cache.ids, self.cache.labels)
        return Truths(source, ListedIds(listing), listing.labels)

    @cached_property
    def labelled(self) -> Labelled:
        """Those of the training images whose class is known, for tasks that compare with them."""
        return labelled(*self.images)


@dataclass(frozen=True)
class RunInputs:
    """Everything a training reads."""

    opened: Opened
    examples: tuple[Examples, ...]
    """Images to judge on, one for each validation set of the record; none in processes that do not judge."""
    truths: TrainingTruths = NO_TRUTHS
    """Truths of the training images, beside their classes."""


def inputs_again(record: RunRecord, where: MachineOptions, world: World) -> RunInputs:
    """The inputs of a run that goes on, which must be those its record names; only the first process judges."""
    opened = Opened(record.dataset, _same_cache(record), where.data)
    truths = truths_again(record.needs, opened.truths, record.truths)
    return RunInputs(opened, examples_again(record, where, lambda: opened.labelled) if world.first else (), truths)


def _same_cache(record: RunRecord) -> Cache | None:
    """The cache of the record; Mismatch where another one lies there now."""
    if record.cache is None:
        return None
    cache = Cache.open(Path(record.cache.path))
    if cache.plan.identity != record.cache.identity:
        raise Mismatch(
            f"{cache.path} is another cache now: its identity is {cache.plan.identity}, the run began with "
            f"{record.cache.identity}",
            hint="bring the old cache back, or start a new run",
        )
    return cache
