"""Tests of what every task must do. A package with a task of its own runs them:

    class TestMine(TaskContract):
        task = TASK
        given = {"bank": "shapes:count=300"}       # settings that differ from its defaults

A subclass may override `images`, and `answer`, which computes the output of the head that the task uses.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from kdcache.base.progress import Silent
from kdcache.errors import BadImage
from kdcache.images import Listing, Source, open_source
from kdcache.images.source import WithTruths
from kdcache.views.recipe import Plain
from students.base.task import Measure, Shown, Table, Task
from students.base.types import LOGITS, Precision
from students.judging.examples import Bank, Examples
from students.judging.judged import HeadCall, TeacherSpec
from students.judging.pictures import labelled
from students.judging.registry import settings_of

SIDE = 32
"""Side length of the student's input, in pixels."""
WIDTH = 16
"""Number of channels of an embedding."""


@dataclass(frozen=True)
class Answering:
    """A student without a network: every head is a fixed linear projection of the pixels."""

    spec: TeacherSpec
    contract: "TaskContract"
    device: str = "cpu"
    precision: Precision = "float32"
    batch: int = 16

    def ask(self, head: str) -> HeadCall:
        """A function that computes a head by `TaskContract.answer`."""
        return lambda pixels, *truths: self.contract.answer(head, pixels, self.spec.classes)

    def at_rest(self) -> AbstractContextManager[None]:
        """Nothing to do: there is no network."""
        return nullcontext()


@dataclass(frozen=True)
class Broken:
    """A source whose first image cannot be read."""

    of: Source

    @property
    def name(self) -> str:
        """Name of the images."""
        return self.of.name

    def spec(self) -> dict[str, Any]:
        """The specification of the images."""
        return self.of.spec()

    def scan(self) -> Listing:
        """All images, the unreadable one included."""
        return self.of.scan()

    def read(self, image_id: str) -> bytes | NDArray[np.uint8]:
        """Read an image; raises BadImage for the first one."""
        if image_id == str(self.scan().ids[0]):
            raise BadImage(f"{image_id} is broken")
        return self.of.read(image_id)

    def truths(self) -> tuple[str, ...]:
        """The columns of the images."""
        return self.of.truths() if isinstance(self.of, WithTruths) else ()

    def read_truths(self, names: Sequence[str], ids: Sequence[str]) -> Mapping[str, Sequence[Any]]:
        """As the images have them."""
        return self.of.read_truths(names, ids) if isinstance(self.of, WithTruths) else {}


class TaskContract:
    """Tests of one task."""

    task: ClassVar[Task[Any]]
    given: ClassVar[Mapping[str, Any]] = {}
    """Settings that differ from the task's defaults, by name."""

    def images(self) -> Source:
        """Images to judge on, with the truths that the task needs."""
        return open_source("shapes:split=val,count=40,size=32")

    def bank(self, wanted: Bank) -> Source:
        """Labelled images for a bank."""
        return open_source("shapes:count=120,size=32" if wanted is None else str(wanted))

    def answer(self, head: str, pixels: NDArray[np.uint8], classes: tuple[str, ...]) -> torch.Tensor:
        """Output of a head for views (rows, height, width, 3)."""
        flat = torch.from_numpy(pixels.reshape(len(pixels), -1)).float() / 255
        width = len(classes) if head == LOGITS else WIDTH
        return flat @ torch.randn((flat.shape[1], width), generator=torch.Generator().manual_seed(5))

    def student(self) -> Answering:
        """The student that is judged."""
        classes = self.images().scan().classes or ()
        return Answering(TeacherSpec("answering", (SIDE, SIDE), Plain(fit="crop"), classes), self)

    @contextmanager
    def opened(self, source: Source | None = None) -> Iterator[Examples]:
        """The examples to judge on, open."""
        images = labelled(source or self.images(), truths=self.task.truths)
        with Examples(images, lambda wanted: labelled(self.bank(wanted))) as examples:
            yield examples

    def report(self, source: Source | None = None) -> Any:
        """The report of one judgement."""
        with self.opened(source) as examples:
            settings = settings_of(self.task, self.given)
            self.task.check(self.student(), examples, settings)
            return self.task.judge(self.student(), examples, settings, Silent())

    def test_it_says_what_it_is(self) -> None:
        """Help, error messages and stored reports use name, description and measure."""
        assert self.task.name
        assert self.task.name == self.task.name.lower()
        assert self.task.description
        assert isinstance(self.task.measure, Measure)
        assert get_args(self.task.report.model_fields["task"].annotation) == (self.task.name,)

    def test_settings_have_defaults(self) -> None:
        """Settings come from the preset or from defaults, and are unchanged by JSON."""
        settings = settings_of(self.task)
        assert type(settings).from_json(json.dumps(settings.plain())) == settings

    def test_a_report_comes_back_from_json(self) -> None:
        """A report is unchanged by JSON, as which it is stored."""
        report = self.report()
        again = self.task.report.from_json(json.dumps(report.plain(), allow_nan=False))
        assert again == report
        assert self.task.show(again) == self.task.show(report)

    def test_its_score_and_numbers_are_finite(self) -> None:
        """The score selects weights, and the numbers are written to metrics.jsonl."""
        report = self.report()
        score, numbers = self.task.score(report), self.task.numbers(report)
        assert math.isfinite(score)
        assert all(isinstance(value, int | float) and math.isfinite(value) for value in numbers.values())
        assert not {"kind", "step", "epoch", "seconds", "set", "score", "best"} & numbers.keys(), (
            "a line of metrics.jsonl has these keys already"
        )
        assert set(self.task.curves) <= numbers.keys()
        assert not self.task.measure.percent or 0 <= score <= 1

    def test_judging_twice_gives_the_same_report(self) -> None:
        """Training judges repeatedly with the same open images."""
        with self.opened() as examples:
            settings = settings_of(self.task, self.given)
            reports = [self.task.judge(self.student(), examples, settings, Silent()) for _ in range(2)]
        one, other = (report.model_copy(update={"seconds": 0.0}) for report in reports)
        assert one == other
        assert self.task.subject(one) == self.task.subject(other)
        assert self.task.subject(one)["data"]
        json.dumps(self.task.subject(one))

    def test_it_shows_its_score(self) -> None:
        """Terminal and page print what `show` returns."""
        shown = self.task.show(self.report())
        assert isinstance(shown, Shown)
        assert shown.title
        assert shown.pairs or shown.tables
        for table in (*shown.tables, *shown.details):
            assert isinstance(table, Table)
            assert all(len(row) == len(table.heads) for row in table.rows)
            assert all(0 <= column < len(table.heads) for column in table.numbers)
        assert not shown.rejected

    def test_unreadable_images_are_counted_and_named(self) -> None:
        """Unreadable images do not count in the score, and the command ends with exit code 3."""
        images = self.images()
        shown = self.task.show(self.report(Broken(images)))
        assert list(shown.rejected) == [str(images.scan().ids[0])]
