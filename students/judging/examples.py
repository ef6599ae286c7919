"""The images on which a student is judged, and the bank a task compares them with. Both are listed once.

Input: images, and a function that finds a bank. Output: an `Examples`. Its rendering pools stay open, so that a student
can be judged repeatedly during a training.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Self

from kdcache.base.progress import Progress
from kdcache.errors import UsageError
from kdcache.images import Source, open_source
from kdcache.images.few import Few
from kdcache.images.splits import held_out, training_split
from kdcache.store.plan import Dataset
from kdcache.store.same_images import images_again
from kdcache.views.recipe import Plain
from students.base.task import Task
from students.base.truth_columns import digests_again, expect_columns, from_source
from students.base.truths import CLASS
from students.judging.features import Features, look_once
from students.judging.judged import Judged
from students.judging.pictures import Labelled, Pictures, labelled

TRAIN_SPLIT = "train-split"
"""Value of `bank` that stands for the training split beside the judged images."""
BANK_SEED = 0
"""Seed for the choice of training images when the bank is a number of them."""
Bank = str | int | None
"""Images to compare with: a source, `train-split`, a number of training images, or None for the default."""


class Examples:
    """Images to judge on. Use it in a with statement, which closes the rendering pools."""

    def __init__(self, images: Labelled, bank: Callable[[Bank], Labelled], workers: int = 0) -> None:
        """`bank`: function that finds the images for a task's setting `bank`."""
        self.images = images
        self._find, self._workers = bank, workers
        self._banks: dict[Bank, Labelled] = {}
        self._opened: dict[tuple[int, Plain], Pictures] = {}
        self._kept: dict[tuple[int, Plain], Features] | None = None
        """Features of the images that were embedded, while they are kept."""
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened = {}
        self._stack.close()

    def bank(self, wanted: Bank) -> Labelled:
        """The images of a bank; listed once."""
        if wanted not in self._banks:
            self._banks[wanted] = self._find(wanted)
        return self._banks[wanted]

    def pictures(self, images: Labelled, student: Judged, geometry: Plain | None = None) -> Pictures:
        """Images rendered for a student; opened once, and kept open."""
        key = self._key(images, student, geometry)
        if key not in self._opened:
            opened = Pictures(images, student.spec, workers=self._workers, batch=student.batch, geometry=geometry)
            self._opened[key] = self._stack.enter_context(opened)
        return self._opened[key].of(images)

    @contextmanager
    def embedded_once(self) -> Iterator[None]:
        """Within it, images are embedded once, however many tasks want their features: those of one network, which rests."""
        self._kept = {}
        try:
            yield
        finally:
            self._kept = None

    def features(
        self,
        student: Judged,
        images: Labelled,
        *,
        progress: Progress,
        stage: str = "features",
        geometry: Plain | None = None,
    ) -> Features:
        """The embeddings of images as a student sees them."""
        key = self._key(images, student, geometry)
        if self._kept is not None and key in self._kept:
            return self._kept[key]
        pictures = self.pictures(images, student, geometry)
        found = Features(*look_once(student, pictures, progress=progress, stage=stage), pictures.rejected)
        if self._kept is not None:
            self._kept[key] = found
        return found

    def _key(self, images: Labelled, student: Judged, geometry: Plain | None) -> tuple[int, Plain]:
        return id(images.ids), geometry or student.spec.geometry


def same_images(
    dataset: Dataset,
    place: str | None = None,
    *,
    owner: str,
    option: str = "--data",
    truths: Sequence[str] = (CLASS,),
    recorded: Mapping[str, str] | None = None,
) -> Labelled:
    """The images of a recorded dataset; `place`: their new location, if they have moved.

    Raises Drift if the images have changed since they were recorded, or any of the `truths` whose digest was `recorded`. Used
    both during training and after it. Unlabelled images are left out if `truths` has classes.
    """
    anew = f"name images with {option}: it is judged on those as they are" if option == "--data" else "start a new run"
    images = labelled(*images_again(dataset, place, owner=owner, option=option, anew=anew), truths=truths)
    digests_again(images.truths, [name for name in truths if name in (recorded or {})], recorded or {})
    return images


def check_task(task: Task[Any], student: Any, examples: Examples, settings: Any) -> None:
    """UsageError or Mismatch where a task cannot judge this student on these images. Nothing is computed."""
    expect_columns(examples.images.truths, from_source(task.truths), f"the task {task.name}")
    task.check(student, examples, settings)


def judged_source(place: str | Mapping[str, Any], bank: Bank, like: Mapping[str, Any]) -> Source:
    """The source to judge on: the given one, or, if that is a training split and serves as the bank, its held-out split."""
    source = open_source(place, like=like)
    other = held_out(source.spec()) if bank == TRAIN_SPLIT else None
    return source if other is None else open_source(other)


def few_of(images: Labelled, count: int | None) -> Labelled:
    """A sample of `count` of these images; None: all of them."""
    if count is None:
        return images
    few = Few(images.source, count, BANK_SEED)
    return labelled(few, few.of_listing(images.listing))


def split_beside(source: Source) -> Labelled | None:
    """The training split beside a held-out one, found by its name; None if there is none."""
    split = training_split(source.spec())
    return None if split is None else labelled(open_source(split))


def refuse_training_split(source: Source, given: str) -> None:
    """Refuse to judge on a training split without a bank, because it is the default bank for other images."""
    if (other := held_out(source.spec())) is not None:
        raise UsageError(
            f"{given} is a training split, which serves as the bank for other images",
            hint=f"judge on its {other.get('split', 'held-out')} split with --data, or name another bank with --bank",
        )


def no_split(source: Source) -> UsageError:
    """The error if the bank should be the training split, but there is none."""
    return UsageError(
        f"there is no training split beside {source.name}", hint="name the images to compare with: --bank SOURCE"
    )
