"""`kd predict`: what a student or a teacher makes of images."""

from pathlib import Path
from typing import Annotated

import typer

from cli import options as o
from cli.command import command
from cli.output import Ui
from cli.runs import open_run
from cli.text import pairs, plural
from kdcache.errors import Incomplete, UsageError
from students.base import limits

PREDICT = """
kd predict LATEST photos/
kd predict kd/runs/first photos/ --out photos.jsonl --top 3
kd predict --teacher florence --size nano shapes:split=val
"""
First = Annotated[str | None, typer.Argument(metavar="[RUN]", help="A run, or LATEST; left out with --teacher.")]
Second = Annotated[
    str | None, typer.Argument(metavar="IMAGES", help="A folder, or another source of images; labels are not needed.")
]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where it is written: a .csv or a .jsonl file.")]
Top = Annotated[int, typer.Option("--top", metavar="N", min=1, max=1000, help="Most probable classes of each image.")]
Embedding = Annotated[
    bool,
    typer.Option("--embedding", help="Write embeddings, also where there are classes; always, where there are none."),
]
Device = Annotated[str | None, typer.Option("--device", metavar="NAME", help="cpu, cuda or cuda:1.")]
Batch = Annotated[
    int | None, typer.Option("--batch", metavar="N", min=1, max=limits.BATCH, help="Images it sees at a time.")
]
_NAMED = 20
"""Unreadable images that are named."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "predict", examples=PREDICT)(predict)


def predict(
    ui: Ui,
    run: First = None,
    images: Second = None,
    teacher: o.Teacher = None,
    out: Out = Path("predictions.csv"),
    top: Top = 5,
    embedding: Embedding = False,
    device: Device = None,
    batch: Batch = None,
    workers: o.Workers = None,
    size: o.Size = None,
    weights: o.WeightsFile = None,
    head: o.HeadFile = None,
) -> int:
    """Write down what a student, or a teacher, makes of images.

    A line an image: its most probable classes with their probabilities, or, of a student without classes, its embedding. The
    file appears when all of it is written. Images that cannot be read have no line; they are named, and the exit code is 3.
    """
    if teacher is not None:
        run, images = None, _only(run, images)
    elif strange := [f"--{name}" for name in ("size", "weights", "head") if name in ui.given]:
        raise UsageError(
            f"{strange[0]} is of a teacher; a run brings its own", hint="leave it out, or name a --teacher"
        )
    if images is None or (run is None and teacher is None):
        raise UsageError(
            "name a run and images", hint="kd predict LATEST photos/, or kd predict --teacher NAME photos/"
        )

    from students.api import predict as written
    from students.base.types import LOGITS

    name = teacher or str(open_run(ui, str(run)).path)
    done = written(
        None if teacher else name, images, teacher=teacher, size=size, weights=weights, head=head, out=out, top=top,
        embedding=embedding, device=device, batch=batch, workers=workers, progress=ui.progress(),
    )  # fmt: skip
    facts = {"out": str(done.path), "images": done.images, "head": done.head, "rejected": done.rejected}
    what = "classes" if done.head == LOGITS else "embeddings"
    lines = [("of", name), ("images", f"{done.images:,}"), (what, str(done.path))]
    ui.answer({"of": name, **facts}, pairs(lines))
    return _left_out(ui, done.rejected)


def _only(first: str | None, second: str | None) -> str | None:
    """With --teacher there are images alone."""
    if second is not None:
        raise UsageError(f"a teacher and a run ({first}) were named", hint="name one of the two")
    return first


def _left_out(ui: Ui, rejected: dict[str, str]) -> int:
    for image_id, reason in list(rejected.items())[:_NAMED]:
        ui.warn(f"{image_id} cannot be used: {reason}")
    if len(rejected) > _NAMED:
        ui.warn(f"… and {plural(len(rejected) - _NAMED, 'image')} more: see `rejected` with --json")
    return Incomplete.exit_code if rejected else 0
