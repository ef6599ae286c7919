"""`kd predict`: the classes or embeddings that a student or a teacher predicts for images."""

from pathlib import Path
from typing import Annotated

import typer

from cli import options as o
from cli.command import command
from cli.output import Ui
from cli.runs import open_run
from cli.text import pairs, plural
from kdcache.errors import Incomplete

PREDICT = """
kd predict LATEST photos/
kd predict kd/runs/first photos/ --out photos.jsonl --top 3
kd predict --teacher florence --size nano shapes:split=val
"""
First = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]", help="A run: its folder, its name in ./kd/runs, or LATEST. Leave it out with --teacher."
    ),
]
Second = Annotated[
    str | None,
    typer.Argument(
        metavar="IMAGES", help="A folder or another source of images (docs/sources.md), with or without labels."
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The new file, .csv or .jsonl.")]
Top = Annotated[
    int,
    typer.Option(
        "--top", metavar="N", min=1, max=1000, help="How many of the most probable classes to write per image."
    ),
]
Embedding = Annotated[
    bool,
    typer.Option("--embedding", help="Write embeddings instead of classes. Default without a classifier."),
]
_NAMED = 20
"""Largest number of unreadable images whose ids are printed."""


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
    device: o.Device = None,
    batch: o.Batch = None,
    workers: o.Workers = None,
    size: o.Size = None,
    weights: o.WeightsFile = None,
    head: o.HeadFile = None,
) -> int:
    """Write the predictions of a student or a teacher for images to a file.

    One line per image: its most probable classes with their probabilities or, without a classifier, its embedding. The file
    appears only when it is complete. Images that cannot be read have no line; they are listed, and the exit code is 3.
    """
    from students.plan.effects import check_subject

    o.refuse_teacher_options(ui.given - {"out"}, of_teacher=teacher is not None)
    if teacher is not None and images is None:
        run, images = None, run  # with --teacher the images are the only argument
    check_subject(run, teacher, images)
    assert images is not None, "checked above"

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


def _left_out(ui: Ui, rejected: dict[str, str]) -> int:
    for image_id, reason in list(rejected.items())[:_NAMED]:
        ui.warn(f"{image_id} cannot be used: {reason}")
    if len(rejected) > _NAMED:
        ui.warn(f"… and {plural(len(rejected) - _NAMED, 'image')} more: see `rejected` with --json")
    return Incomplete.exit_code if rejected else 0
