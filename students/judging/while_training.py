"""Judges a student during training, by the tasks of `kd eval`, on one or several sets of images that stay open.

Input: a run record. Output: a `Validation`. It adds a line per set to metrics.jsonl; the score of one set, or the mean of all,
selects the best weights.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, NamedTuple

from torch import nn

from kdcache.base.progress import Progress
from kdcache.errors import Mismatch, UsageError
from kdcache.images.splits import training_split
from kdcache.store.same_images import images_again
from students.base.machine import World
from students.base.task import Task
from students.base.truth_columns import expect_used
from students.base.types import Precision
from students.base.validation import MEAN, Bank, named
from students.judging.examples import TRAIN_SPLIT, Examples, check_task, few_of, judged_source, same_images
from students.judging.judged import JudgedStudent
from students.judging.pictures import Labelled, labelled
from students.judging.registry import settings_of, task_named
from students.options import MachineOptions
from students.runs.metrics import deciding
from students.runs.record import RunRecord
from students.runs.validation import ValidationSet


class Opened(NamedTuple):
    """One validation set with its task, ready for judging."""

    name: str | None
    task: Task[Any]
    settings: Any
    examples: Examples


class Outcome(NamedTuple):
    """Result of one validation."""

    lines: list[dict[str, Any]]
    """Numbers for metrics.jsonl, one line per set; the key `set` holds the set's name, if it has one."""
    score: float
    """Score that selects the best weights."""
    text: str
    """Scores in one line of text."""


class Validation:
    """Judges a network, repeatedly, on all validation sets of a run."""

    def __init__(self, record: RunRecord, sets: list[Opened], batch: int) -> None:
        self.sets = sets
        self._record, self._batch = record, batch

    def judge(self, network: nn.Module, device: str, precision: Precision, progress: Progress) -> Outcome:
        """Judge the network on every set."""
        student = JudgedStudent(network, self._record.student, device, precision, self._batch)
        lines, scores, words = [], {}, []
        for name, task, settings, examples in self.sets:
            report = task.judge(student, examples, settings, progress)
            score = task.score(report)
            scores[name or MEAN] = score
            lines.append({**({"set": name} if name else {}), "score": score, **task.numbers(report)})
            words.append(f"{name + ': ' if name else ''}{task.measure.name} {task.measure.text(score)}")
        return Outcome(lines, deciding(scores, self._record.recipe.judge.best), ", ".join(words))


def settings_in(judged_on: ValidationSet) -> tuple[Task[Any], Any]:
    """The task of a set, and its settings."""
    task = task_named(judged_on.task, unknown=Mismatch)
    bank = {} if judged_on.bank_from is None else {"bank": judged_on.bank_from}
    return task, settings_of(task, {**judged_on.settings, **bank})


def validation_of(
    record: RunRecord, examples: Sequence[Examples], world: World
) -> Callable[[], AbstractContextManager[Validation]] | None:
    """A function that opens the validation of a run; None if the run has none. Only the first process may call it."""
    if not record.validation:
        return None
    if not world.first:
        return _never
    sets = [
        Opened(each.name, *settings_in(each), shown) for each, shown in zip(record.validation, examples, strict=True)
    ]

    @contextmanager
    def opened() -> Iterator[Validation]:
        with ExitStack() as stack:
            for each in sets:
                stack.enter_context(each.examples)
            yield Validation(record, sets, record.micro)

    return opened


def examples_again(record: RunRecord, where: MachineOptions, training: Callable[[], Labelled]) -> tuple[Examples, ...]:
    """The images of every validation set of a resumed run, which must be unchanged; `training` returns its training images."""
    places = places_of(where.val, record.validation)
    return tuple(
        _examples(record, each, places.get(each.name, Places()), training, where.render_workers)
        for each in record.validation
    )


def _examples(
    record: RunRecord, judged_on: ValidationSet, places: "Places", training: Callable[[], Labelled], workers: int
) -> Examples:
    data, moved = judged_on.data, places.images
    if moved is not None and judged_on.bank_from == TRAIN_SPLIT:
        spec = judged_source(moved, TRAIN_SPLIT, data.source).spec()
        data, moved = data.model_copy(update={"source": spec}), None
    task, settings = settings_in(judged_on)
    expect_used(judged_on.truths, task.truths, f"the task {task.name}")
    images = same_images(data, moved, owner="the run", option="--val", truths=task.truths, recorded=judged_on.truths)
    examples = Examples(images, lambda wanted: _bank(judged_on, places, wanted, training), workers)
    check_before(record.student, task, examples, settings)
    return examples


class _Unbuilt(NamedTuple):
    """A student whose network is not built yet, for checks that need only its specification."""

    spec: Any


def check_before(spec: Any, task: Task[Any], examples: Examples, settings: Any) -> None:
    """Refuse images that a student of this specification cannot be judged on, before its network is built."""
    check_task(task, _Unbuilt(spec), examples, settings)


def _bank(judged_on: ValidationSet, places: "Places", wanted: Bank, training: Callable[[], Labelled]) -> Labelled:
    """The images of a set's bank: training images, or those recorded for the set, which must be unchanged."""
    if judged_on.bank is None:
        return few_of(training(), wanted if isinstance(wanted, int) else None)
    beside = None
    if places.images is not None and wanted == TRAIN_SPLIT:
        beside = training_split(judged_source(places.images, TRAIN_SPLIT, judged_on.data.source).spec())
    dataset = judged_on.bank if beside is None else judged_on.bank.model_copy(update={"source": beside})
    owner = f"the bank of {judged_on.name or 'the run'}"
    option = "--val" if wanted == TRAIN_SPLIT else f"--val {bank_option(judged_on.name)}"
    return labelled(*images_again(dataset, places.bank, owner=owner, option=option))


class Places(NamedTuple):
    """Where the images of a validation set lie now; None: where they lay."""

    images: str | None = None
    bank: str | None = None


def places_of(given: tuple[str, ...], sets: Sequence[ValidationSet]) -> dict[str | None, Places]:
    """New locations of a run's validation sets, by their names; those of their banks are given as `bank_option` says."""
    places: dict[str | None, Places] = {}
    for text in given:
        of_bank = next((each for each in sets if text.startswith(bank_option(each.name))), None)
        if of_bank is None:
            name, place = set_of(text, [each.name for each in sets])
            key = "images"
        else:
            name, place, key = of_bank.name, text.removeprefix(bank_option(of_bank.name)), "bank"
            _refuse_no_bank(of_bank, text)
        before = places.get(name, Places())
        if getattr(before, key) is not None:
            raise UsageError(f"--val names {name or 'the validation images'} twice", hint="give each set once")
        places[name] = before._replace(**{key: place})
    return places


def bank_option(name: str | None) -> str:
    """How `--val` begins where it gives the place of a bank: `bank=`, or `NAME.bank=` where sets have names."""
    return "bank=" if name is None else f"{name}.bank="


def _refuse_no_bank(judged_on: ValidationSet, text: str) -> None:
    """UsageError where the bank of a set is not a source of its own, whose place could be given."""
    if judged_on.bank is None:
        raise UsageError(f"--val {text}: these images are compared with the training images", hint="--data SOURCE")
    if judged_on.bank_from == TRAIN_SPLIT:
        hint = "--val SOURCE" if judged_on.name is None else f"--val {judged_on.name}=SOURCE"
        raise UsageError(f"--val {text}: the bank is the training split beside the images that are judged", hint=hint)


def set_of(text: str, names: list[str | None]) -> tuple[str | None, str]:
    """Name and source of a `--val` value: `NAME=SOURCE`, or a source whose kind is the name of a set (`cifar10:DIR`)."""
    if names == [None]:
        return None, text
    name, source = named(text)
    kind = source.partition(":")[0]
    if name is None and kind in names:
        name = kind
    if name is None or name not in names:
        raise UsageError(
            f"--val {text} names none of the run's sets: {', '.join(str(each) for each in names)}",
            hint=f"--val {names[0]}=SOURCE",
        )
    return name, source


def _never() -> AbstractContextManager[Validation]:
    raise AssertionError("only the first process judges")
