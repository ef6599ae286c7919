"""Which run a command is about: the word LATEST is told as the run it stands for."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import Ui

if TYPE_CHECKING:
    from students.runs.run import Run

RunPath = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run: its folder, its name in ./kd/runs, or LATEST: the one started last."),
]


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
