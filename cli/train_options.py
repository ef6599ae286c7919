"""Options of `kd train` and `kd finetune`, and how they become what `students` takes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli import complete
from cli import options as o
from kdcache.base.figures import whole
from kdcache.base.limits import WORKERS
from kdcache.errors import UsageError
from students.base import limits

if TYPE_CHECKING:
    from students.options import MachineOptions, TrainOptions

Stream = Literal["off", "on", "none"]


Student = Annotated[
    str | None,
    typer.Option(
        "--student",
        metavar="NAME|FILE",
        help="Which student (kd student list).",
        autocompletion=complete.presets("students"),
    ),
]
CachePath = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="CACHE",
        help="Learn from this cache; left out: the newest that fits.",
        autocompletion=complete.caches,
    ),
]
RecipeName = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="NAME|FILE",
        help="Training recipe (kd config list recipes); left out: the student's, or demo on the embedded images, else own.",
        autocompletion=complete.presets("recipes"),
    ),
]
DataNow = Annotated[
    str | None, typer.Option("--data", metavar="SOURCE", help="The images: where they lie now, or those to learn from.")
]
Val = Annotated[
    list[str] | None,
    typer.Option(
        "--val",
        metavar="[NAME=]SOURCE",
        help="Images to judge it on while it learns, or `none`; repeatable: several sets, each with a name of its own.",
    ),
]
StreamChoice = Annotated[
    Stream,
    typer.Option(
        "--stream",
        metavar="off|on|none",
        help="off: from a cache; on: with the cache's teacher connected; none: true classes.",
    ),
]
Size = Annotated[
    int | None, typer.Option("--size", metavar="N", min=32, max=limits.SIDE, help="Pixels the student sees a side.")
]
Background = Annotated[
    str | None,
    typer.Option(
        "--background",
        metavar="COLOUR",
        help="Under transparent pixels, without a cache, which says it itself: white, black, R,G,B, or drop.",
    ),
]
Epochs = Annotated[float | None, typer.Option("--epochs", metavar="X", help="Passes over the images.")]
Steps = Annotated[
    int | None, typer.Option("--steps", metavar="N", min=1, max=limits.STEPS, help="Steps in all, instead of epochs.")
]
Batch = Annotated[
    int | None,
    typer.Option("--batch", metavar="N", min=1, max=limits.BATCH, help="Images a step; rates scale with it."),
]
Micro = Annotated[
    int | None,
    typer.Option("--micro", metavar="N", min=1, max=limits.BATCH, help="Images at once through the network."),
]
UseViews = Annotated[
    str | None, typer.Option("--views", metavar="LIST", help="Stored views to use, such as 0,1,2; left out: all.")
]
LogEvery = Annotated[
    int | None,
    typer.Option("--log-every", metavar="N", min=1, max=limits.STEPS, help="Steps between lines of metrics.jsonl."),
]
ValEvery = Annotated[
    int | None, typer.Option("--val-every", metavar="N", min=1, max=limits.STEPS, help="Steps between validations.")
]
KeepEvery = Annotated[
    int | None, typer.Option("--keep-every", metavar="N", min=1, max=limits.STEPS, help="Steps between checkpoints.")
]
StopAt = Annotated[
    int | None,
    typer.Option("--stop-at", metavar="N", min=1, max=limits.STEPS, help="Stop after step N, to go on later."),
]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda or cuda:N.")]
Workers = Annotated[
    int | None, typer.Option("--workers", metavar="N", min=0, max=WORKERS, help="Processes that render views.")
]
TeacherWeights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="FILE|RUN",
        help="Where the weights of a connected teacher lie, or of one that shares its encoder; a run, if it has moved.",
    ),
]
TeacherHead = Annotated[
    str | None, typer.Option("--head", metavar="FILE", help="Where the head of a connected teacher lies.")
]
Compile = Annotated[bool, typer.Option("--compile", help="Compile the student: slow to start, fast afterwards.")]
Recompute = Annotated[bool, typer.Option("--recompute", help="Keep no activations: less memory, more time.")]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="DIR", help="The run; left out: a new name in ./kd/runs.")
]
Start = Annotated[
    str | None,
    typer.Option("--from", metavar="RUN|FILE", help="Begin with these weights.", autocompletion=complete.runs),
]
NewHead = Annotated[bool, typer.Option("--new-head", help="Begin with all of them but the classifier.")]
Track = Annotated[
    str | None, typer.Option("--track", metavar="LIST", help="Also tell tensorboard, wandb (extras of these names).")
]
HeadRows = Annotated[
    str | None,
    typer.Option("--head-rows", metavar="FILE", help="Rows of the old classifier to begin with, one a line, -1: none."),
]

Freeze = Annotated[bool, typer.Option("--freeze", help="Train the classifier alone; the rest stays as it is.")]


def asked(
    student: Student = None,
    recipe: RecipeName = None,
    settings: o.Settings = None,
    data: DataNow = None,
    val: Val = None,
    size: Size = None,
    background: Background = None,
    new_head: NewHead = False,
    out: Out = None,
    seed: o.Seed = 0,
    epochs: Epochs = None,
    steps: Steps = None,
    batch: Batch = None,
    micro: Micro = None,
    log_every: LogEvery = None,
    val_every: ValEvery = None,
    keep_every: KeepEvery = None,
    stop_at: StopAt = None,
    device: Device = "auto",
    workers: Workers = None,
    compiled: Compile = False,
    recompute: Recompute = False,
    track: Track = None,
) -> "tuple[TrainOptions, MachineOptions]":
    """What is asked of a training, and what is said about this machine."""
    from students.options import MachineOptions, TrainOptions
    from students.plan.effects import check_epochs

    check_epochs(epochs)
    options = TrainOptions(
        student=student, recipe=recipe, settings=tuple(settings or ()), val=places(val), size=size, new_head=new_head, out=out,
        background=background, seed=seed, epochs=epochs, steps=steps, batch=batch, micro=micro,
        log_every=log_every, validate_every=val_every, keep_every=keep_every,
    )  # fmt: skip
    where = MachineOptions(
        device=device, workers=workers, data=data, compiled=compiled, recompute=recompute, stop_at=stop_at,
        trackers=o.comma_list(track),
    )  # fmt: skip
    return options, where


def places(val: list[str] | None) -> str | tuple[str, ...] | None:
    """Images to judge on: none that are named, one, or several sets."""
    return val[0] if val and len(val) == 1 else tuple(val) if val else None


def numbers(text: str | None) -> tuple[int, ...] | None:
    """A list of view numbers."""
    if text is None:
        return None
    words = [whole(word) for word in o.comma_list(text)]
    found = tuple(word for word in words if word is not None)
    if not words or len(found) < len(words):
        raise UsageError(f"--views {text} is not a list of view numbers from 0", hint="such as --views 0,1,2")
    if len(set(found)) < len(found):
        raise UsageError(f"--views {text} names a view twice", hint="name each view once, such as --views 0,1,2")
    return found
