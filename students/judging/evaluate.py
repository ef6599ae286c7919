"""Judges a run's student, or a teacher, by any tasks, outside of training.

Input: a run or an open teacher, tasks with their settings, and images (by default a run's own validation images). Output: a
report for each task; those of a run are stored (kept.py).
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from kdcache.base.machine import best_device, default_batch
from kdcache.base.progress import Progress
from kdcache.errors import UsageError
from kdcache.images import Source, open_source
from kdcache.images.splits import HELD_OUT
from students.base.task import Shown, Task
from students.base.truths import CLASS
from students.base.types import LOGITS, Precision
from students.families.registry import family_of
from students.judging.examples import (
    TRAIN_SPLIT,
    Bank,
    Examples,
    check_task,
    few_of,
    no_split,
    refuse_training_split,
    same_images,
    split_beside,
)
from students.judging.judged import Judged, JudgedStudent, check_head, default_task, head_names
from students.judging.kept import keep
from students.judging.pictures import Labelled, labelled
from students.judging.registry import TASKS, chosen
from students.runs.run import Run
from students.runs.validation import ValidationSet

SPLITS = (*HELD_OUT, "train")
"""Names of folders that are splits, not classes, in the order in which they are suggested for judging."""
Wanted = Sequence[tuple[Task[Any], Any]]
"""Tasks to judge by, each with its settings."""


@dataclass(frozen=True)
class JudgeOptions:
    """Options of judging a student. None means that a fitting value is chosen."""

    data: str | None = None
    device: str | None = None
    workers: int = 0
    batch: int | None = None
    precision: Precision | None = None
    """Autocast precision; None: as in training, so that the scores equal those of its validation."""


class Judgement(NamedTuple):
    """Result of one task on one set of images."""

    task: Task[Any]
    report: Any
    path: Path | None
    """File the report is stored in; None: it is not stored."""

    @property
    def shown(self) -> Shown:
        """The report, ready to be shown."""
        return self.task.show(self.report)


def judge(run: Run, wanted: Wanted, how: JudgeOptions, progress: Progress) -> list[Judgement]:
    """Judge a run by each of these tasks, on `how.data` or else on each of its own validation sets."""
    for task, _ in wanted:
        check_run(run, task)
    sets: Sequence[ValidationSet | None] = [None] if how.data is not None else own_sets(run)
    found = []
    for judged_on in sets:
        truths = truths_of_tasks(wanted)
        with examples_of(run, how.data, judged_on, how.workers, truths) as examples:
            student = student_of(run, how)
            found += judge_all(student, examples, wanted, progress, run)
    return found


def truths_of_tasks(wanted: Wanted) -> tuple[str, ...]:
    """Truth columns that any of these tasks needs: with a class among them, images without one are left out for all tasks."""
    return tuple(dict.fromkeys(name for task, _ in wanted for name in task.truths))


def judge_all(
    student: Judged, examples: Examples, wanted: Wanted, progress: Progress, run: Run | None = None
) -> list[Judgement]:
    """Check all tasks, then judge by each; `run`: the run in which the reports are stored."""
    for task, settings in wanted:
        check_task(task, student, examples, settings)
    found = []
    with examples.embedded_once():
        for task, settings in wanted:
            report = task.judge(student, examples, settings, progress)
            found.append(Judgement(task, report, keep(run, task, report) if run is not None else None))
    return found


def judge_run(
    run: Run,
    how: JudgeOptions,
    progress: Progress,
    *,
    task: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> tuple[Any, Path]:
    """Judge a run by one task, with settings by name; returns the report and the path of its file."""
    wanted = chosen([task or default_task(run.record.student)], settings or {})
    found = judge(run, wanted, how, progress)[0]
    assert found.path is not None, "reports of a run are stored"
    return found.report, found.path


def check_run(run: Run, task: Task[Any]) -> None:
    """Refuse a task that needs a head the run's student does not have."""
    student = run.record.student
    heads = head_names(student)
    check_head(student.name, heads, task, [name for name, other in TASKS if other.head in heads], way=_way_to_head(run))
    if task.head == LOGITS and _never_trained(run):
        raise UsageError(
            f"the classifier of {run.path}, which the task {task.name} needs, was never trained: its recipe does not "
            "compare logits",
            hint=_way_to_head(run),
        )


def _never_trained(run: Run) -> bool:
    """Whether the classifier still has its initial random weights, because the recipe compares only other outputs."""
    record = run.record
    fresh = record.started_from is None or record.new_head
    has_one = family_of(record.student).classifier is not None
    weighed = [objective for objective in record.recipe.losses.values() if objective.weight]
    return has_one and fresh and not any(LOGITS in objective.needs().outputs for objective in weighed)


def _way_to_head(run: Run) -> str | None:
    """The command that trains a classifier on a run's student; None for a family that has none."""
    if family_of(run.record.student).classifier is None:
        return None
    return f"kd finetune {shlex.quote(str(run.path))} --data SOURCE --new-head --freeze"


def student_of(run: Run, how: JudgeOptions) -> JudgedStudent:
    """The run's student with its best weights, on the chosen device."""
    from students.base.machine import device_of

    record = run.record
    device = str(device_of(how.device or best_device()))
    batch = how.batch or default_batch(record.student.input, device)
    precision = how.precision or record.precision
    return JudgedStudent(run.network().to(device), record.student, device, precision, batch)


def own_sets(run: Run) -> Sequence[ValidationSet]:
    """The validation sets on which a run was judged during training."""
    if not run.record.validation:
        raise UsageError(f"{run.path} was trained without validation images", hint="name images with --data")
    return run.record.validation


def examples_of(
    run: Run,
    data: str | None,
    judged_on: ValidationSet | None,
    workers: int = 0,
    truths: Sequence[str] = (CLASS,),
) -> Examples:
    """The images to judge on; their bank is found when a task asks for it. `truths`: columns that the tasks need."""
    images = images_of(run, data, judged_on, truths)
    return Examples(images, lambda wanted: bank_of(run, images, wanted, data, judged_on), workers)


def images_of(
    run: Run, data: str | None, judged_on: ValidationSet | None = None, truths: Sequence[str] = (CLASS,)
) -> Labelled:
    """The images to judge on: those of `data`, or the run's own validation images, which must be unchanged.

    Only labelled ones where `truths`, the columns that are needed of them, have classes.
    """
    if data is None:
        own = judged_on or own_sets(run)[0]
        owner = f"the validation of {run.path}"
        return same_images(own.data, owner=owner, truths=truths, recorded=own.truths)
    given = _given(run, data)
    _refuse_splits(given.spec(), run)
    return labelled(given, truths=truths)


def bank_of(
    run: Run, images: Labelled, wanted: Bank, data: str | None = None, judged_on: ValidationSet | None = None
) -> Labelled:
    """The images of the bank.

    `wanted` names them. If it is None: for `data`, the training split beside it; for the run's own images, the bank that was used
    during training; otherwise the training images.
    """
    if isinstance(wanted, int):
        return few_of(same_images(run.record.dataset, owner="the run"), wanted)
    if wanted == TRAIN_SPLIT:
        beside = split_beside(images.source)
        if beside is None:
            raise no_split(images.source)
        return beside
    if wanted is not None:
        return labelled(_given(run, wanted))
    if data is None:
        if judged_on is not None and judged_on.bank is not None:
            return same_images(judged_on.bank, owner="the bank of the run", option="--bank")
        return same_images(run.record.dataset, owner="the run")
    if (beside := split_beside(images.source)) is not None:
        return beside
    refuse_training_split(images.source, data)
    return same_images(run.record.dataset, owner="the run")


def _given(run: Run, data: str) -> Source:
    """Images named by the user, opened with the run's way of ordering, so that equal images get an equal fingerprint."""
    return open_source(data, like=run.record.dataset.source)


def _refuse_splits(spec: dict[str, Any], run: Run) -> None:
    """Refuse a folder that contains splits: it would be read as images of two classes, train and val."""
    if spec.get("kind") != "folder":
        return
    folder = Path(str(spec["path"]))
    inside = {path.name for path in folder.glob("*/")}
    if not inside or inside - set(SPLITS) or inside & set(run.record.student.classes):
        return
    raise UsageError(
        f"{folder} holds {', '.join(sorted(inside))}, which are splits, not classes",
        hint=f"--data {shlex.quote(str(folder / next(name for name in SPLITS if name in inside)))}",
    )
