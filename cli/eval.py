"""`kd eval`: measure how good a trained student, or a teacher, is."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import complete
from cli import options as o
from cli.command import command
from cli.output import Ui
from cli.runs import open_run
from cli.text import columns, pairs, plural
from kdcache.base.figures import whole
from kdcache.errors import Incomplete, UsageError

if TYPE_CHECKING:
    from students.base.task import Shown, Table
    from students.judging.evaluate import Judgement, JudgeOptions
    from students.judging.teacher import TeacherChoice

EVAL = """
kd eval LATEST
kd eval kd/runs/first --data imagenetv2-matched-frequency/
kd eval LATEST --data imagenet:DIR:val --real real.json
kd eval LATEST --task few-shot --data EuroSAT/ --shots 5,20
kd eval LATEST --task retrieve,knn,probe --data cifar10:DIR:test
kd eval --teacher florence --size nano --data shapes:split=val
"""


def _tasks(incomplete: str) -> list[str]:
    from students.judging.registry import TASKS

    return complete.starting(TASKS.names(), incomplete)


RunOrNone = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="A run: its folder, its name in ./kd/runs, or LATEST. Leave it out with --teacher.",
        autocompletion=complete.runs,
    ),
]
Images = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="SOURCE",
        help="Labelled images. Default: the run's validation images; required with --teacher.",
    ),
]
Tasks = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="LIST",
        help="Tasks, comma-separated: classify, few-shot, retrieve, knn, probe. Default: classify, or retrieve without a "
        "classifier.",
        autocompletion=_tasks,
    ),
]
Bank = Annotated[
    str | None,
    typer.Option(
        "--bank",
        metavar="SOURCE",
        help="Labelled images to search in (retrieve, knn) or fit on (probe), or train-split: the training split beside --data. "
        "Default: train-split with --data, else the run's training images.",
    ),
]
Real = Annotated[
    Path | None,
    typer.Option(
        "--real",
        metavar="FILE",
        help="File of reassessed ImageNet labels (real.json); classify then reports that accuracy too.",
    ),
]
Shots = Annotated[
    str | None,
    typer.Option(
        "--shots",
        metavar="LIST",
        help="Labelled images per class in few-shot episodes, comma-separated. Default: 5,20,50.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", metavar="FILE", help="JSON file for a teacher's reports. Those of a run are kept in its folder."
    ),
]
_NAMED = 5
"""Largest number of unreadable images whose ids are printed."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "eval", examples=EVAL)(evaluate)


def evaluate(
    ui: Ui,
    run: RunOrNone = None,
    teacher: o.Teacher = None,
    data: Images = None,
    task: Tasks = None,
    bank: Bank = None,
    real: Real = None,
    shots: Shots = None,
    settings: o.Settings = None,
    seed: o.Seed = 0,
    device: o.Device = None,
    batch: o.Batch = None,
    precision: o.PrecisionOrOwn = None,
    workers: o.Workers = None,
    size: o.Size = None,
    weights: o.WeightsFile = None,
    head: o.HeadFile = None,
    out: Out = None,
) -> int:
    """Measure how good a trained student, with its best weights, or a teacher is on labelled images.

    classify: top-1 and top-5, loss, calibration error, the most frequent confusions. Classes are matched by name; folders
    called 0 to N-1 or by WordNet ids work too. few-shot: a linear head on frozen features, 600 episodes of 5 classes, on any
    labelled folder. retrieve: how often the nearest images of the bank have the same class, and the other way round. probe: a
    linear probe fitted on the bank. knn: a vote of the nearest 20 images of the bank. Results of a run are kept in RUN/evals
    for `kd report`; those of a teacher only if --out names a file.
    """
    if (run is None) == (teacher is None):
        raise UsageError("give either a run or --teacher", hint="kd eval LATEST, or kd eval --teacher NAME --data …")
    o.refuse_teacher_options(ui.given, of_teacher=teacher is not None)
    given = _given(ui.given, bank=bank, real=None if real is None else str(real), shots=_numbers(shots), seed=seed)
    overrides = tuple(settings or ())

    # Imported after the options are checked, because it imports torch.
    from kdcache.base.machine import render_workers
    from students.judging.evaluate import JudgeOptions

    how = JudgeOptions(data=data, device=device, workers=render_workers(workers), batch=batch, precision=precision)
    if teacher is not None:
        from students.judging.teacher import TeacherChoice

        asked = TeacherChoice(teacher, size, weights, head)
        return _teacher(ui, asked, o.comma_list(task) if task is not None else None, given, overrides, how, out)
    assert run is not None, "one of the two was named"
    return _run(ui, run, o.comma_list(task) if task is not None else None, given, overrides, how)


def _run(
    ui: Ui, name: str, tasks: Sequence[str] | None, given: dict[str, Any], overrides: Sequence[str], how: "JudgeOptions"
) -> int:
    from students.judging.evaluate import judge
    from students.judging.judged import default_task
    from students.judging.registry import chosen

    run = open_run(ui, name)
    wanted = chosen([default_task(run.record.student)] if tasks is None else tasks, given, overrides)
    found = judge(run, wanted, how, ui.progress())
    return _answer(ui, {"run": str(run.path)}, f"{run.path}, {run.record.student.name}", found)


def _teacher(
    ui: Ui,
    asked: "TeacherChoice",
    tasks: Sequence[str] | None,
    given: dict[str, Any],
    overrides: Sequence[str],
    how: "JudgeOptions",
    out: Path | None,
) -> int:
    from students.judging.teacher import judge_teacher, keep_reports

    name, found = judge_teacher(asked, tasks, given, overrides, how, ui.progress())
    if out is not None:
        keep_reports(out, name, found)
    return _answer(ui, {"teacher": name}, name, found, out)


def _answer(ui: Ui, facts: dict[str, Any], name: str, found: "Sequence[Judgement]", out: Path | None = None) -> int:
    """Print the reports: in JSON one as it is and several in a list, in text one block each."""
    reports = [{**({"kept": str(path)} if (path := each.path or out) else {}), **each.report.plain()} for each in found]
    blocks = [_block(each.shown, each.path or out) for each in found]
    data = {**facts, **reports[0]} if len(reports) == 1 else {**facts, "evaluations": reports}
    ui.answer(data, "\n\n".join([pairs([("run" if "run" in facts else "teacher", name)]), *blocks]))
    codes = [_left_out(ui, each.shown) for each in found]
    return max(codes)


def _block(shown: "Shown", path: Path | None) -> str:
    """A report as text: its lines and tables, and the path of its file."""
    kept = [("kept", str(path))] if path is not None else []
    tables = [_table(each) for each in shown.tables]
    return "\n\n".join([f"{shown.title}\n{pairs([*shown.pairs, *kept])}", *tables])


def _table(table: "Table") -> str:
    return columns([list(table.heads), *(list(row) for row in table.rows)], right=table.numbers)


def _given(given: frozenset[str], **settings: Any) -> dict[str, Any]:
    """The settings of tasks that were given on the command line."""
    return {name: value for name, value in settings.items() if name in given}


def _numbers(shots: str | None) -> list[int] | None:
    if shots is None:
        return None
    found = [whole(item) for item in o.comma_list(shots)]
    numbers = list(filter(None, found))
    if not found or len(set(numbers)) < len(found):
        raise UsageError(f"--shots {shots} is not a list of different whole numbers from 1", hint="--shots 5,20,50")
    return numbers


def _left_out(ui: Ui, shown: "Shown") -> int:
    """Print warnings and the ids of unreadable images; returns the exit code, which is not 0 if there are any."""
    for warning in shown.warnings:
        ui.warn(warning)
    for image_id, reason in list(shown.rejected.items())[:_NAMED]:
        ui.warn(f"{image_id} cannot be used: {reason}")
    if len(shown.rejected) > _NAMED:
        ui.warn(f"… and {plural(len(shown.rejected) - _NAMED, 'image')} more: see `rejected` with --json")
    return Incomplete.exit_code if shown.rejected else 0
