"""What a training reads, opened once: its caches, its training images, and the images it is judged on.

Input: what planning chose, or the record of a run that goes on. Output: one `RunInputs`, which the training is made from. Nothing
is scanned or opened a second time after it.
"""

from dataclasses import dataclass
from functools import cached_property

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
from students.plan.caches import TrainingCaches, caches_again, expect_recorded_images, joined_caches
from students.plan.checks import check_pieces
from students.plan.sides import shows_images
from students.plan.truths import NO_TRUTHS, TrainingTruths, truths_again
from students.runs.record import RunRecord

Images = tuple[Source, Listing]
"""A source and the listing that its one scan made."""


class Opened:
    """The caches of a training, and its images, which are scanned when they are first needed."""

    def __init__(
        self, dataset: Dataset, caches: TrainingCaches | None, data: str | None, images: Images | None = None
    ) -> None:
        """`data`: where the images lie now, None where they lay; `images`: the same, where they are scanned already."""
        self.caches = caches
        """The caches, joined; None for a training without a teacher."""
        self._dataset, self._data, self._images = dataset, data, images

    @cached_property
    def images(self) -> Images:
        """The training images; Drift or Mismatch where they are not those of the dataset any more."""
        if self._images is not None:
            return self._images
        owner = "this run" if self.caches is None else str(self.caches.first.path)
        anew = "start a new run" if self.caches is None else "build a new cache of these images"
        return images_again(self._dataset, self._data, owner=owner, anew=anew)

    def truths(self) -> Truths:
        """What is known of the training images, in the order of the rows of the run; nothing of it is read yet."""
        source, listing = self.images
        if self.caches is not None:
            return Truths(source, self.caches.first.ids, self.caches.first.labels)
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
    opened = Opened(record.dataset, _caches_again(record), where.data)
    truths = truths_again(record.needs, opened.truths, record.truths)
    _expect_a_batch(record, truths)
    check_pieces(record.recipe, record.student, record.micro, record.processes)
    return RunInputs(opened, examples_again(record, where, lambda: opened.labelled) if world.first else (), truths)


def _caches_again(record: RunRecord) -> TrainingCaches | None:
    """The caches of the record, joined again; Mismatch where one is not what it was."""
    if not record.all_caches:
        return None
    caches = caches_again(record.all_caches)
    expect_recorded_images(record.dataset, record.views, caches[0][1])
    shown = shows_images(record.recipe, record.student, record.all_caches)
    return joined_caches(caches, record.all_caches, views=record.pacing.views, shown=shown)


def _expect_a_batch(record: RunRecord, truths: TrainingTruths) -> None:
    """Mismatch where a batch of the record is more than there is to learn from, which no training begins with."""
    examples = record.dataset.rows if truths.examples is None else len(truths.examples)
    if record.recipe.batch > examples:
        raise Mismatch(
            f"run.json has a batch of {record.recipe.batch:,}, and there are {examples:,} {truths.unit}",
            hint="restore run.json from a copy",
        )
