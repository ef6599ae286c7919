"""Which run a command is about, and `kd runs`: what runs there are. The word LATEST is told as the run it stands for."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli import complete
from cli.command import command, group
from cli.output import Ui
from cli.text import clock, columns, on_a_line
from kdcache.errors import Mismatch

if TYPE_CHECKING:
    from students.runs.overview import Progress
    from students.runs.record import RunRecord
    from students.runs.run import Run

LIST = """
kd runs list
kd runs list --json
"""
RunPath = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A run: its folder, its name in ./kd/runs, or LATEST: the one started last.",
        autocompletion=complete.runs,
    ),
]
_HEAD = ["run", "student", "stream", "steps", "best", "state", "started"]

app = group("What has been trained.")


def open_run(ui: Ui, name: str) -> "Run":
    """Open a run; says on stderr which one LATEST is."""
    from students.runs.run import LATEST, Run

    run = Run.open(name)
    if name == LATEST:
        ui.note(f"{LATEST} is {run.path}")
    return run


def meant(ui: Ui, start: str) -> str:
    """What a training begins with: a path as it is, LATEST as the run it stands for."""
    from students.runs.run import LATEST

    return str(open_run(ui, start).path) if start == LATEST else start


def runs_list(ui: Ui) -> None:
    """List the runs in ./kd/runs and those started from here with --out, the latest first.

    The first one is what LATEST stands for. `best` is the best score on the validation images so far. A run that is `stopped`
    goes on with kd train --resume. What cannot be read is listed below the others with the reason.
    """
    from students.runs.overview import list_runs

    entries = list_runs()
    rows = [[str(e.path), *_cells(e.progress), clock(e.started)] for e in entries if e.progress is not None]
    table = columns([_HEAD, *rows], right=(3, 4)) if rows else "no run in ./kd/runs"
    reasons = "\n".join(f"cannot be read: {on_a_line(e.reason)}" for e in entries if e.reason is not None)
    ui.answer([entry.plain() for entry in entries], "\n\n".join(filter(None, (table, reasons))))
    if not rows:
        ui.note("hint: kd train --student tinyvit-5m")


def _cells(progress: "Progress") -> list[str]:
    record = progress.run.record
    best = "" if progress.best is None else _score(record, progress.best)
    taken = f"{progress.steps:,} of {record.pacing.steps:,}"
    return [record.student.name, record.stream, taken, best, progress.state]


def _score(record: "RunRecord", best: float) -> str:
    """The score as its task writes it; the bare number of a task that no installed package has."""
    from students.judging.measures import measure_of

    try:
        return measure_of(record).text(best)
    except Mismatch:
        return f"{best:.4g}"


command(app, "list", examples=LIST)(runs_list)
