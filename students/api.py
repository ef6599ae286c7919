"""What `kd train`, `kd eval`, `kd compare` and their like do, as functions: keyword arguments are called like the options.

An option that is a word of Python gets an underscore (`from_`); one of several words has underscores (`new_head`). What is wrong
raises a `kdcache.errors.KDError`, whose `hint` is a way out. What is being done, and remarks and warnings, go to `progress`; left
out, nowhere. `run` is a run's folder, its name in ./kd/runs, or LATEST.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict, Unpack

from kdcache.api import BuildKeywords, build_options
from kdcache.base.keywords import Names, Settings, names, settings, text
from kdcache.base.progress import Progress, Silent

if TYPE_CHECKING:
    from students.compare.result.comparison import Comparison
    from students.compare.result.verdict import Verdict
    from students.export.exported import Exported
    from students.judging.evaluate import Judgement, JudgeOptions
    from students.judging.predict import Predicted
    from students.options import MachineOptions, TrainOptions
    from students.runs.overview import RunEntry
    from students.train.start import Finished

Run = str | Path


class MachineKeywords(TypedDict, total=False):
    """What is known of this machine, when a training begins and when it goes on."""

    data: str | Path | None
    """Where the images lie now, or those to learn from."""
    val: Names | None
    """Images to judge it on; `none`; several sets as NAME=SOURCE each."""
    device: str
    """`auto`, `cpu`, `cuda` or `cuda:N`."""
    workers: int | None
    """Processes that render views."""
    compile: bool
    """Whether the student is compiled."""
    recompute: bool
    """Whether activations are computed again instead of kept."""
    stop_at: int | None
    """Step after which it stops, to go on later."""
    track: Names | None
    """`tensorboard`, `wandb`."""


class TrainKeywords(MachineKeywords, total=False):
    """What `kd train` and `kd finetune` have in common. None, or left out: what fits."""

    student: str | None
    """Which student: a preset or a file."""
    recipe: str | Path | None
    """Training recipe: a preset or a file."""
    set: Settings | None
    """Values that replace those of the recipe."""
    size: int | None
    """Side length of the student's input, in pixels."""
    background: str | None
    """Colour under transparent pixels, where no cache says it."""
    new_head: bool
    """Begin with all weights but the classifier's."""
    out: str | Path | None
    """Folder of the run; None: a new name in ./kd/runs."""
    seed: int
    """Seed of everything random (0)."""
    epochs: float | None
    """Passes over the images."""
    steps: int | None
    """Steps in all, instead of epochs."""
    batch: int | None
    """Images a step."""
    micro: int | None
    """Images at once through the network."""
    log_every: int | None
    """Steps between lines of metrics.jsonl."""
    val_every: int | None
    """Steps between validations."""
    keep_every: int | None
    """Steps between checkpoints."""


def train_student(
    *,
    cache: str | Path | None = None,
    stream: Literal["off", "on", "none"] = "off",
    views: Sequence[int] | None = None,
    from_: Run | None = None,
    weights: str | Path | None = None,
    head: str | Path | None = None,
    progress: Progress | None = None,
    **options: Unpack[TrainKeywords],
) -> "Finished":
    """Train a student from a cache (`stream` off), beside its teacher (on) or on true classes (none): `kd train`."""
    from students.plan.effects import check_source

    given = {"cache": cache, "views": views, "weights": weights, "head": head}
    asked, where = _training(options, weights, head)
    check_source(stream, [name for name, value in given.items() if value is not None], asked.student)
    from students.train.start import start

    asked = replace(asked, cache=None if cache is None else Path(cache), stream=stream, start=text(from_))
    return start(replace(asked, views=None if views is None else tuple(views)), where, progress or Silent())


def finetune_student(
    run: Run,
    *,
    head_rows: str | Path | None = None,
    freeze: bool = False,
    progress: Progress | None = None,
    **options: Unpack[TrainKeywords],
) -> "Finished":
    """Go on training a student on the true classes of `data`, with `freeze` its classifier alone: `kd finetune`."""
    from kdcache.errors import UsageError
    from students.train.start import start

    asked, where = _training(options)
    if where.data is None:
        raise UsageError("no data: fine-tuning needs labelled images", hint='data="photos/"')
    asked = replace(asked, stream="none", start=str(run), head_rows=text(head_rows), freeze=freeze)
    return start(asked, where, progress or Silent())


def resume_student(
    run: Run,
    *,
    weights: str | Path | None = None,
    head: str | Path | None = None,
    progress: Progress | None = None,
    **machine: Unpack[MachineKeywords],
) -> "Finished":
    """Go on with a training that was stopped, as it was begun: `kd train --resume`."""
    from students.runs.run import find_run
    from students.train.start import go_on

    if strange := machine.keys() - MachineKeywords.__annotations__.keys():
        raise TypeError(f"{', '.join(sorted(strange))} cannot be changed when resuming: a run goes on as it was begun")
    asked, where = _training(dict(machine), weights, head)  # type: ignore[arg-type]  # a part of the keywords
    return go_on(find_run(run), replace(where, val=asked.validation), progress or Silent())


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
    """Judge a trained student, on its own validation images where no `data` is named: `kd eval RUN`.

    One entry a task and set of images, with its `report`, which is kept in the run too.
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
    """Judge a teacher as if it were a student: `kd eval --teacher`. `out`: a JSON file that keeps the reports."""
    from students.judging.teacher import AskedTeacher, judge_teacher, keep_reports

    asked, how = AskedTeacher(teacher, size, text(weights), text(head)), _how(data, device, workers, batch, precision)
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
    """Write what a student, or a teacher, makes of images into a .csv or .jsonl file: `kd predict`."""
    from kdcache.errors import UsageError
    from kdcache.images import open_source
    from students.base.types import LOGITS
    from students.judging.evaluate import student_of
    from students.judging.judged import EMBEDDING, Judged
    from students.judging.predict import check_file
    from students.judging.predict import predict as write
    from students.judging.teacher import AskedTeacher, opened
    from students.runs.run import Run as Opened

    if images is None or (run is None) == (teacher is None):
        raise UsageError("name images, and a run or a teacher, one of the two", hint='predict("LATEST", "photos/")')
    check_file(Path(out))
    progress, source = progress or Silent(), open_source(str(images))
    how = _how(None, device, workers, batch, None)
    student: Judged
    if teacher is not None:
        asked = EMBEDDING if embedding else LOGITS
        progress.note("loading the teacher")
        named = AskedTeacher(teacher, size, text(weights), text(head))
        student = opened(named, (asked,), how, source.scan().classes)
    else:
        student = student_of(Opened.open(str(run)), how)
        asked = LOGITS if student.spec.classes and not embedding else EMBEDDING
    return write(student, source, asked, Path(out), top=top, workers=how.workers, progress=progress)


class Compared(NamedTuple):
    """A comparison that was measured."""

    comparison: "Comparison"
    """What was measured, arm by arm."""
    verdict: "Verdict"
    """What follows from it: rows of the table, sums with intervals, sentences."""
    path: Path
    """Folder of the comparison."""
    report: Path
    """Its page."""


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
    steps: int = 30,
    repeat: int = 3,
    images: int | None = None,
    epochs: float = 90.0,
    students: int = 1,
    price: float | None = None,
    project: str | None = None,
    gpu_memory: str | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
    **options: Unpack[BuildKeywords],
) -> Compared:
    """Measure the same training several ways, such as ["on-stream", "off-stream"]: `kd compare`.

    `train_recipe`, `train_set` and `train_batch` are of the training, `recipe`, `set` and `batch` of the cache that is built.
    """
    from kdcache.base.figures import byte_count
    from students.compare.options import CompareOptions
    from students.compare.run import compare

    build = build_options(**options)
    asked = CompareOptions(
        tuple(arms), build, images=images, student=student, recipe=text(train_recipe) or "",
        settings=settings(train_set), size=student_size, steps=steps, repeat=repeat, batch=train_batch, micro=micro,
        val=_places(val), memory=byte_count(gpu_memory, "gpu_memory") if gpu_memory else None,
        out=None if out is None else Path(out), device=build.devices[0] if build.devices else "auto",
        epochs=epochs, students=students, price=price, project=project,
    )  # fmt: skip
    return compared(*compare(asked, progress or Silent()))


def compared(comparison: "Comparison", path: Path) -> Compared:
    """What follows from a comparison, and its page."""
    from students.compare.report import write_page
    from students.compare.result.verdict import verdict

    judged = verdict(comparison)
    return Compared(comparison, judged, path, write_page(comparison, judged, path))


def export_student(run: Run, *, format: str, out: str | Path) -> "Exported":
    """Write a trained student for another program, such as `timm` or `onnx`: `kd student export`."""
    from students.export.exported import exporter
    from students.runs.run import Run as Opened

    opened = Opened.open(run)
    done: Exported = exporter(opened, format)(opened, Path(out))
    return done


def list_runs() -> "list[RunEntry]":
    """The runs in ./kd/runs and those started from here with `out`, the latest first: `kd runs list`."""
    from students.runs.overview import list_runs as listed

    return listed()


def _training(
    options: TrainKeywords, weights: str | Path | None = None, head: str | Path | None = None
) -> "tuple[TrainOptions, MachineOptions]":
    """What is asked of a training, and what is known of this machine."""
    from students.options import MachineOptions, TrainOptions
    from students.plan.effects import check_epochs

    check_epochs(options.get("epochs"))
    if strange := options.keys() - TrainKeywords.__annotations__.keys():
        raise TypeError(f"unexpected keyword {', '.join(sorted(strange))}: see students.api.TrainKeywords")
    given: dict[str, Any] = dict(options)
    where = MachineOptions(
        device=given.pop("device", "auto"), workers=given.pop("workers", None), data=text(given.pop("data", None)),
        compiled=given.pop("compile", False), recompute=given.pop("recompute", False),
        stop_at=given.pop("stop_at", None), trackers=names(given.pop("track", None)),
        weights=text(weights), head=text(head),
    )  # fmt: skip
    out = given.pop("out", None)
    asked = TrainOptions(
        recipe=text(given.pop("recipe", None)), settings=settings(given.pop("set", None)),
        val=_places(given.pop("val", None)), out=None if out is None else Path(out),
        validate_every=given.pop("val_every", None), **given,
    )  # fmt: skip
    return asked, where


def _places(val: Names | None) -> str | tuple[str, ...] | None:
    """Images to judge on: none that are named, one, or several sets."""
    return val if isinstance(val, str) or val is None else tuple(val)


def _task_settings(
    bank: str | Path | None, real: str | Path | None, shots: Sequence[int] | None, seed: int | None
) -> dict[str, Any]:
    """Settings of tasks that were given."""
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
