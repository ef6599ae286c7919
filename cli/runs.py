"""`kd runs list`, and the argument by which commands name a run: its folder, its name, or LATEST."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli import complete
from cli.command import command, group
from cli.output import Ui
from cli.text import clock, listing, on_a_line
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
        help="A run: its folder, its name in ./kd/runs, or LATEST for the one started last.",
        autocompletion=complete.runs,
    ),
]
_HEAD = ["run", "student", "stream", "steps", "best", "state", "started"]

app = group("List the trainings.")


def open_run(ui: Ui, name: str) -> "Run":
    """Open a run; for LATEST a note on stderr names it."""
    from students.runs.run import LATEST, Run

    run = Run.open(name)
    if name == LATEST:
        ui.note(f"{LATEST} is {run.path}")
    return run


def starting_point(ui: Ui, start: str) -> str:
    """Path of the run or file from which a training starts; LATEST is replaced by the run's path."""
    from students.runs.run import LATEST

    return str(open_run(ui, start).path) if start == LATEST else start


def runs_list(ui: Ui) -> None:
    """List the runs in ./kd/runs and those started from this folder with --out, the latest first.

    LATEST is the first one. `best` is the best score on the validation images so far. kd train --resume resumes a run that is
    `stopped`. Folders that cannot be read are listed at the end with the reason.
    """
    from students.runs.overview import list_runs

    entries = list_runs()
    rows = [[str(e.path), *_cells(e.progress), clock(e.started)] for e in entries if e.progress is not None]
    table = listing([_HEAD, *rows], right=(3, 4)) if rows else "no run in ./kd/runs"
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
    """The score in the unit of its task; a plain number if the task is not installed."""
    from students.judging.measures import measure_of

    try:
        return measure_of(record).text(best)
    except Mismatch:
        return f"{best:.4g}"


command(app, "list", examples=LIST)(runs_list)
