"""`kd eval`, `kd predict`, `kd compare` and others as Python functions; students/api/__init__.py says how they are called."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Unpack

from kdcache.api import BuildKeywords, build_options
from kdcache.base.figures import listed
from kdcache.base.keywords import Names, Settings, names, settings, text
from kdcache.base.progress import Progress, Silent
from kdcache.errors import UsageError
from students.api.training import Run, places_of

if TYPE_CHECKING:
    from students.compare.result.comparison import Comparison
    from students.compare.result.verdict import Verdict
    from students.export.exported import Exported
    from students.judging.evaluate import Judgement, JudgeOptions
    from students.judging.judged import Judged
    from students.judging.predict import Predicted
    from students.runs.overview import RunEntry


def evaluate_student(
    run: Run,
    *,
    data: str | Path | None = None,
    task: Names | None = None,
    bank: str | Path | None = None,
    real: str | Path | None = None,
    shots: Sequence[int] | None = None,
    set: Settings | None = None,
    seed: int | None = None,
    device: str | None = None,
    batch: int | None = None,
    precision: Literal["float32", "bfloat16", "float16"] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> "list[Judgement]":
    """Judge a trained student on `data`, or without it on the run's own validation images: `kd eval RUN`.

    Returns one entry for each task and set of images. Its `report` is also stored in the run.
    """
    from students.judging.evaluate import judge
    from students.judging.judged import default_task
    from students.judging.registry import chosen
    from students.runs.run import Run as Opened

    opened = Opened.open(run)
    tasks = [default_task(opened.record.student)] if task is None else names(task)
    wanted = chosen(tasks, _task_settings(bank, real, shots, seed), settings(set))
    return judge(opened, wanted, _how(data, device, workers, batch, precision), progress or Silent())


def evaluate_teacher(
    teacher: str,
    *,
    data: str | Path,
    size: str | None = None,
    weights: str | Path | None = None,
    head: str | Path | None = None,
    task: Names | None = None,
    bank: str | Path | None = None,
    real: str | Path | None = None,
    shots: Sequence[int] | None = None,
    set: Settings | None = None,
    seed: int | None = None,
    device: str | None = None,
    batch: int | None = None,
    precision: Literal["float32", "bfloat16", "float16"] | None = None,
    workers: int | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> "list[Judgement]":
    """Judge a teacher as if it were a student: `kd eval --teacher`. `out`: JSON file to write the reports to."""
    from students.judging.teacher import TeacherChoice, judge_teacher, keep_reports

    asked, how = TeacherChoice(teacher, size, text(weights), text(head)), _how(data, device, workers, batch, precision)
    given = _task_settings(bank, real, shots, seed)
    tasks = None if task is None else names(task)
    name, found = judge_teacher(asked, tasks, given, settings(set), how, progress or Silent())
    if out is not None:
        keep_reports(Path(out), name, found)
    return found


def predict(
    run: Run | None = None,
    images: str | Path | None = None,
    *,
    teacher: str | None = None,
    size: str | None = None,
    weights: str | Path | None = None,
    head: str | Path | None = None,
    out: str | Path = "predictions.csv",
    top: int = 5,
    embedding: bool = False,
    device: str | None = None,
    batch: int | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> "Predicted":
    """Write the predictions of a student or a teacher for images to a .csv or .jsonl file: `kd predict`."""
    from students.plan.effects import check_subject

    check_subject(run, teacher, images)
    from kdcache.images import open_source
    from kdcache.teachers.embedded import images_and_size
    from students.base.types import LOGITS
    from students.judging.judged import EMBEDDING, Judged
    from students.judging.predict import check_file
    from students.judging.predict import predict as write
    from students.judging.teacher import TeacherChoice, opened

    check_file(Path(out))
    progress, source = progress or Silent(), open_source(str(images))
    how = _how(None, device, workers, batch, None)
    student: Judged
    if teacher is not None:
        asked = EMBEDDING if embedding else LOGITS
        progress.note("loading the teacher")
        source, size = images_and_size(teacher, size, text(weights), str(images))
        named = TeacherChoice(teacher, size, text(weights), text(head))
        student = opened(named, (asked,), how, source.scan().classes)
    else:
        student, asked = _student_and_head(str(run), how, embedding)
    return write(student, source, asked, Path(out), top=top, workers=how.workers, progress=progress)


def _student_and_head(run: str, how: "JudgeOptions", embedding: bool) -> "tuple[Judged, str]":
    """The student of a run, and the head whose output is written."""
    from students.base.types import LOGITS
    from students.judging.evaluate import student_of
    from students.judging.judged import EMBEDDING, default_task, head_names
    from students.runs.run import Run as Opened

    opened = Opened.open(run)
    student = opened.record.student
    heads = head_names(student)
    asked = LOGITS if LOGITS in heads and not embedding else EMBEDDING
    if asked not in heads:
        way = f"kd eval {shlex.quote(run)} --task {default_task(student)} judges it by what it gives"
        raise UsageError(
            f"kd predict writes classes or an embedding, and {student.name} gives only {listed(heads)}",
            hint="leave out --embedding" if LOGITS in heads else way,
        )
    return student_of(opened, how), asked


class Compared(NamedTuple):
    """A finished comparison."""

    comparison: "Comparison"
    """Measurements of every arm."""
    verdict: "Verdict"
    """Conclusions from the measurements: rows of the table, costs with intervals, sentences."""
    path: Path
    """Folder of the comparison."""
    report: Path
    """HTML page of the comparison."""


def compare_streams(
    arms: Sequence[str],
    *,
    student: str = "tinyvit-5m",
    student_size: int | None = None,
    train_recipe: str | Path | None = None,
    train_set: Settings | None = None,
    train_batch: int | None = None,
    micro: int | None = None,
    val: Names | None = None,
    steps: int = 12,
    repeat: int = 5,
    images: int | None = None,
    epochs: float | None = None,
    students: int = 1,
    price: float | None = None,
    watts: float | None = None,
    project: str | None = None,
    papers: bool = False,
    gpu_memory: str | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
    **options: Unpack[BuildKeywords],
) -> Compared:
    """Run and measure the same training in several ways, such as ["on-stream", "off-stream"]: `kd compare`.

    `train_recipe`, `train_set` and `train_batch` apply to the training; `recipe`, `set` and `batch` to the cache that is built.
    """
    from kdcache.base.figures import byte_count
    from students.compare.options import CompareOptions
    from students.compare.run import compare

    build = build_options(**options)
    asked = CompareOptions(
        tuple(arms), build, images=images, student=student, recipe=text(train_recipe) or "",
        settings=settings(train_set), size=student_size, steps=steps, repeat=repeat, batch=train_batch, micro=micro,
        val=places_of(val), memory=byte_count(gpu_memory, "--gpu-memory") if gpu_memory else None,
        out=None if out is None else Path(out), device=build.devices[0] if build.devices else "auto",
        epochs=epochs, students=students, price=price, watts=watts, project=project,
    )  # fmt: skip
    return compared(*compare(asked, progress or Silent()), papers=papers)


def compared(comparison: "Comparison", path: Path, *, papers: bool = False) -> Compared:
    """Draw the conclusions from a comparison and write its page; `papers`: with the figures of two papers."""
    from students.compare.report import write_page
    from students.compare.result.verdict import verdict

    judged = verdict(comparison)
    return Compared(comparison, judged, path, write_page(comparison, judged, path, papers=papers))


def export_student(run: Run, *, format: str, out: str | Path) -> "Exported":
    """Write a trained student for another program, such as `timm` or `onnx`: `kd student export`."""
    from students.export.exported import exporter
    from students.runs.run import Run as Opened

    opened = Opened.open(run)
    done: Exported = exporter(opened, format)(opened, Path(out))
    return done


def list_runs() -> "list[RunEntry]":
    """The runs in ./kd/runs and those started from this folder with `out`, the latest first: `kd runs list`."""
    from students.runs.overview import list_runs as listed

    return listed()


def _task_settings(
    bank: str | Path | None, real: str | Path | None, shots: Sequence[int] | None, seed: int | None
) -> dict[str, Any]:
    """The given settings of tasks, without those that are None."""
    every = {"bank": text(bank), "real": text(real), "shots": None if shots is None else list(shots), "seed": seed}
    return {name: value for name, value in every.items() if value is not None}


def _how(
    data: str | Path | None, device: str | None, workers: int | None, batch: int | None, precision: Any
) -> "JudgeOptions":
    from kdcache.base.machine import render_workers
    from students.judging.evaluate import JudgeOptions

    return JudgeOptions(
        data=text(data), device=device, workers=render_workers(workers), batch=batch, precision=precision
    )
