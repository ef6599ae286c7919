"""`kd report`: one page about a run."""

from pathlib import Path
from typing import Annotated

import typer

from cli.command import command
from cli.output import Ui
from cli.runs import RunPath, open_run
from cli.text import pairs, size

REPORT = """
kd report LATEST
kd report kd/runs/first --out first.html --samples 20
"""
OutFile = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help="The page to write. Default: report.html in the run's folder."),
]
SampleCount = Annotated[
    int, typer.Option("--samples", metavar="N", min=1, max=200, help="Number of sample images in each group.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "report", examples=REPORT)(report)


def report(ui: Ui, run: RunPath, out: OutFile = None, samples: SampleCount = 8) -> None:
    """Write one self-contained HTML page about a run.

    It shows curves, sample images with the predictions of student and teacher, results of kd eval, and the origin of images,
    teacher and recipe. The teacher's predictions are read from the cache; no teacher is loaded.
    """
    from students.report import write_report

    opened = open_run(ui, run)
    path = write_report(opened, out, samples=samples, warn=ui.warn)
    nbytes = path.stat().st_size
    lines = [("run", str(opened.path)), ("page", f"{path}, {size(nbytes)}")]
    ui.answer({"run": str(opened.path), "page": str(path), "bytes": nbytes}, pairs(lines))
