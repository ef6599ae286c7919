"""How a student is judged while it learns: by naming validation images, or by what it finds nearest to them.

Input: a run record. Output: a Judge, kept open while the training lasts. Its lines go into metrics.jsonl; the `score` in them
decides which weights are the best.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, Protocol

from torch import nn

from kdcache.base.progress import Progress
from kdcache.images.few import Few
from kdcache.store.plan import Dataset
from kdcache.store.same_images import images_again
from students.base.machine import World
from students.base.types import Precision
from students.options import Where
from students.runs.record import RunRecord
from students.tasks.classify import judge
from students.tasks.features import Embedded, look_at_both
from students.tasks.pictures import Labelled, Pictures, labelled
from students.tasks.retrieve import retrieve

BANK = 0
"""seed of the choice of training images that are searched"""


class Judge(Protocol):
    """Judges a network again and again."""

    def judge(self, network: nn.Module, device: str, precision: Precision, progress: Progress) -> dict[str, Any]:
        """Numbers for metrics.jsonl; `score` says how good it is, higher is better."""

    def told(self, line: dict[str, Any]) -> str:
        """The same for people."""


class Naming:
    """Top-1 of validation images."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures

    def judge(self, network: nn.Module, device: str, precision: Precision, progress: Progress) -> dict[str, Any]:
        """Name them."""
        found = judge(network, self._pictures, device=device, precision=precision, progress=progress)
        return {"score": found.top1, "top1": found.top1, "top5": found.top5, "loss": found.loss, "images": found.images}

    def told(self, line: dict[str, Any]) -> str:
        """In per cent."""
        return f"top-1 {line['top1']:.1%}, top-5 {line['top5']:.1%}"


class Finding:
    """Retrieval among training images."""

    def __init__(self, asked: Pictures, known: Pictures) -> None:
        self._asked, self._known = asked, known

    def judge(self, network: nn.Module, device: str, precision: Precision, progress: Progress) -> dict[str, Any]:
        """Search both ways; the score is the mean of top-1 and top-3 of both."""
        found = retrieve(self.look(network, device, precision, progress))
        ways = {"top1": found.found.top1, "top3": found.found.top3}
        inverse = {"inverse_top1": found.inverse.top1, "inverse_top3": found.inverse.top3}
        return {"score": found.mean, **ways, **inverse, "images": found.found.queries}

    def look(self, network: nn.Module, device: str, precision: Precision, progress: Progress) -> Embedded:
        """What is searched."""
        return look_at_both(network, self._asked, self._known, device=device, precision=precision, progress=progress)

    def told(self, line: dict[str, Any]) -> str:
        """In per cent."""
        return f"nearest of the same class {line['top1']:.1%}, one of three {line['top3']:.1%}"


def judge_of(record: RunRecord, where: Where, world: World) -> Callable[[], AbstractContextManager[Judge]] | None:
    """The judge a recipe asks for, and its pictures, to be opened; only the first process judges."""
    if record.val is None:
        return None
    if not world.first:
        return _never
    images = unchanged(record.val, where.val, option="--val")
    task = record.recipe.judge
    seen = partial(Pictures, spec=record.student, workers=where.render_workers, batch=record.pacing.micro)
    if task.task == "classify":
        return partial(_naming, partial(seen, images.named_by(record.student)))
    bank = bank_of(record.dataset, task.bank, where.data)
    return partial(_finding, partial(seen, images), partial(seen, bank))


@contextmanager
def _naming(pictures: Callable[[], Pictures]) -> Iterator[Judge]:
    with pictures() as asked:
        yield Naming(asked)


@contextmanager
def _finding(pictures: Callable[[], Pictures], bank: Callable[[], Pictures]) -> Iterator[Judge]:
    with pictures() as asked, bank() as known:
        yield Finding(asked, known)


def bank_of(dataset: Dataset, count: int | None, place: str | None = None) -> Labelled:
    """Training images to search, or a choice of them; `place`: where they lie now."""
    whole = unchanged(dataset, place)
    return whole if count is None else labelled(Few(whole.source, count, BANK))


def unchanged(dataset: Dataset, place: str | None = None, *, option: str = "--data") -> Labelled:
    """The labelled images of a dataset, which must be those the run began with; `place`: where they lie now."""
    return labelled(*images_again(dataset, place, owner="the run", option=option))


def _never() -> AbstractContextManager[Judge]:
    raise AssertionError("only the first process judges")
