"""Judges a teacher as if it were a student: its logits and embedding are the heads that tasks use.

Input: a teacher's options, tasks, and labelled images. Output: a report for each task, which is stored only if a file is named.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kdcache.base.atomic import make_folder, write_file
from kdcache.base.machine import best_device, default_batch
from kdcache.base.progress import Progress
from kdcache.errors import Mismatch, UsageError
from kdcache.images import open_source
from kdcache.teachers.embedded import images_and_size
from kdcache.teachers.registry import open_teacher
from students.base.types import LOGITS
from students.judging.evaluate import Judgement, JudgeOptions, judge_all, truths_of_tasks
from students.judging.examples import TRAIN_SPLIT, Bank, Examples, no_split, refuse_training_split, split_beside
from students.judging.judged import JudgedTeacher
from students.judging.pictures import Labelled, labelled
from students.judging.registry import chosen

DEFAULT_TASK = "classify"


@dataclass(frozen=True)
class TeacherChoice:
    """Options that choose a teacher, as in `kd cache build`."""

    name: str
    size: str | None = None
    weights: str | None = None
    head: str | None = None


def opened(
    choice: TeacherChoice, heads: Sequence[str], how: JudgeOptions, offered: tuple[str, ...] | None
) -> JudgedTeacher:
    """Open the teacher with these heads; `offered`: class names for a zero-shot teacher, which can classify any classes."""
    from students.base.machine import device_of

    device = str(device_of(how.device or best_device()))
    teacher = open_teacher(
        choice.name,
        size=choice.size,
        weights=choice.weights,
        head=choice.head,
        signals=tuple(heads),
        precision=how.precision or "float32",
        device=device,
        offered=offered,
    )
    return JudgedTeacher(teacher, device, how.batch or default_batch(teacher.spec.preprocess.size, device))


def judge_teacher(
    choice: TeacherChoice,
    tasks: Sequence[str] | None,
    given: Mapping[str, Any],
    overrides: Sequence[str],
    how: JudgeOptions,
    progress: Progress,
) -> tuple[str, list[Judgement]]:
    """Judge a teacher; returns its name and the result of each task."""
    if how.data is None:
        raise UsageError("no --data: a teacher has no validation images of its own", hint="--data SOURCE")
    wanted = chosen([DEFAULT_TASK] if tasks is None else tasks, given, overrides)
    source, size = images_and_size(choice.name, choice.size, choice.weights, str(how.data))
    choice = replace(choice, size=size)
    images = labelled(source, truths=truths_of_tasks(wanted))
    progress.note("loading the teacher")
    teacher = opened(choice, list(dict.fromkeys(task.head for task, _ in wanted)), how, images.classes)
    if any(task.head == LOGITS for task, _ in wanted):
        _expect_classes(images, teacher)
    with Examples(images, lambda bank: _bank(images, str(how.data), bank), how.workers) as examples:
        return teacher.spec.name, judge_all(teacher, examples, wanted, progress)


def _expect_classes(images: Labelled, teacher: JudgedTeacher) -> None:
    """Mismatch, which says how to give the teacher another classifier, where its own is not for the classes of the images."""
    try:
        images.named_by(teacher.spec)
    except Mismatch as error:
        error.hint = (
            f"{error.hint}; or give a classifier of these classes with --head FILE (kd teacher fit-head makes one)"
        )
        raise


def _bank(images: Labelled, data: str, wanted: Bank) -> Labelled:
    """The images of the bank: those named, or the training split beside the images."""
    if isinstance(wanted, int):
        raise UsageError(f"--set bank={wanted}: a teacher has no training images", hint="--bank few:N:SOURCE")
    if wanted is not None and wanted != TRAIN_SPLIT:
        return labelled(open_source(wanted, like=images.source.spec()))
    if (beside := split_beside(images.source)) is not None:
        return beside
    refuse_training_split(images.source, data)
    raise no_split(images.source)


def keep_reports(out: Path, teacher: str, found: Sequence[Judgement]) -> None:
    """Write the reports into one JSON file."""
    plain = {"teacher": teacher, "evaluations": [each.report.plain() for each in found]}
    make_folder(out.absolute().parent)
    write_file(out, [json.dumps(plain, ensure_ascii=False, indent=1).encode() + b"\n"])
