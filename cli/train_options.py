"""Options of `kd train` and `kd finetune`, and their translation to `TrainOptions` and `MachineOptions`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli import complete
from cli import options as o
from kdcache.base.figures import whole
from kdcache.errors import UsageError
from students.base import limits

if TYPE_CHECKING:
    from students.options import MachineOptions, NamedCache, TrainOptions

Stream = Literal["off", "on", "none"]


Student = Annotated[
    str | None,
    typer.Option(
        "--student",
        metavar="NAME|FILE",
        help="The student: a preset (kd student list) or a .yaml file.",
        autocompletion=complete.presets("students"),
    ),
]
Caches = Annotated[
    list[str] | None,
    typer.Option(
        "--cache",
        metavar="[NAME=]CACHE",
        help="Cache to train from; repeatable for caches of the same images. A signal that several have is called NAME.SIGNAL. "
        "A folder that exists is a path, even if = is in its name. Default: the newest in ./kd/caches that has the signals "
        "of the recipe.",
        autocompletion=complete.named_caches,
    ),
]
RecipeName = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="NAME|FILE",
        help="Training recipe (kd config list recipes) or a .yaml file. Default: the student's own, else demo for the embedded "
        "images and own for others.",
        autocompletion=complete.presets("recipes"),
    ),
]
DataNow = Annotated[
    str | None,
    typer.Option("--data", metavar="SOURCE", help="The training images or, with a cache, their new location."),
]
Val = Annotated[
    list[str] | None,
    typer.Option(
        "--val",
        metavar="[NAME=]SOURCE",
        help="Validation images, or `none`; repeatable as NAME=SOURCE. Default: the held-out split of the training images.",
    ),
]
StreamChoice = Annotated[
    Stream,
    typer.Option(
        "--stream",
        metavar="off|on|none",
        help="Targets: off reads them from a cache, on runs the cache's teacher at every step, none uses class labels only.",
    ),
]
Size = Annotated[
    int | None,
    typer.Option(
        "--size",
        metavar="N",
        min=32,
        max=limits.SIDE,
        help="Side length of the student's input, in pixels. Default: the recipe's, else the student's.",
    ),
]
Background = Annotated[
    str | None,
    typer.Option(
        "--background",
        metavar="COLOUR",
        help="Colour behind transparent pixels, only without a cache: white, black or R,G,B; drop ignores transparency.",
    ),
]
Epochs = Annotated[
    float | None, typer.Option("--epochs", metavar="X", help="Passes over the training images. Default: the recipe's.")
]
Steps = Annotated[
    int | None,
    typer.Option(
        "--steps", metavar="N", min=1, max=limits.STEPS, help="Total number of training steps, instead of --epochs."
    ),
]
Batch = Annotated[
    int | None,
    typer.Option(
        "--batch",
        metavar="N",
        min=1,
        max=limits.BATCH,
        help="Images per step; learning rates scale with it. Default: the recipe's.",
    ),
]
Micro = Annotated[
    int | None,
    typer.Option(
        "--micro",
        metavar="N",
        min=1,
        max=limits.BATCH,
        help="Images per forward pass; a batch may take several. Default: at most 64, with an accelerator 256.",
    ),
]
UseViews = Annotated[
    str | None, typer.Option("--views", metavar="LIST", help="Stored views to train on, such as 0,1,2. Default: all.")
]
LogEvery = Annotated[
    int | None,
    typer.Option(
        "--log-every",
        metavar="N",
        min=1,
        max=limits.STEPS,
        help="Steps between lines of metrics.jsonl. Default: a twentieth of all steps, at most 50.",
    ),
]
ValEvery = Annotated[
    int | None,
    typer.Option(
        "--val-every",
        metavar="N",
        min=1,
        max=limits.STEPS,
        help="Steps between validations. Default: the recipe's, else one epoch, or a twentieth of all steps if that is more.",
    ),
]
KeepEvery = Annotated[
    int | None,
    typer.Option(
        "--keep-every",
        metavar="N",
        min=1,
        max=limits.STEPS,
        help="Steps between checkpoints. Default: one epoch, at most 1000.",
    ),
]
StopAt = Annotated[
    int | None,
    typer.Option("--stop-at", metavar="N", min=1, max=limits.STEPS, help="Stop after step N; the run can be resumed."),
]
TeacherWeights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="FILE|RUN",
        help="Teacher's weights, for --stream on or a student that shares its encoder; the new location of a moved run. "
        "Default: as the cache recorded it.",
    ),
]
TeacherHead = Annotated[
    str | None, typer.Option("--head", metavar="FILE", help="File of the teacher's classifier head, for --stream on.")
]
Compile = Annotated[
    bool, typer.Option("--compile", help="Compile the student with torch.compile: slower to start, faster afterwards.")
]
Recompute = Annotated[
    bool, typer.Option("--recompute", help="Recompute activations in the backward pass: less memory, more time.")
]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder of the run. Default: a new name in ./kd/runs.")
]
Start = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="RUN|FILE",
        help="Start from these weights: a run, LATEST, or a weights file.",
        autocompletion=complete.runs,
    ),
]
NewHead = Annotated[
    bool, typer.Option("--new-head", help="Start with a new classifier and take all other weights from --from or RUN.")
]
Track = Annotated[
    str | None,
    typer.Option(
        "--track",
        metavar="LIST",
        help="Also log to tensorboard, wandb or both, comma-separated (pip extras of these names).",
    ),
]
HeadRows = Annotated[
    str | None,
    typer.Option(
        "--head-rows",
        metavar="FILE",
        help="Text file with a line per class: the row of the old classifier it starts from, -1 for none.",
    ),
]

Freeze = Annotated[bool, typer.Option("--freeze", help="Train only the classifier; all other weights stay unchanged.")]
StudentSize = Annotated[
    int | None,
    typer.Option(
        "--student-size",
        metavar="N",
        min=32,
        max=limits.SIDE,
        help="Side length of the student's input, in pixels. Default: as in kd train --size.",
    ),
]
KeepViews = Annotated[
    str | None,
    typer.Option(
        "--keep-views",
        metavar="SIZE",
        help="Memory for views that are rendered once and used in several epochs, such as 2GB; 0: none. Default: a quarter "
        "of the free memory.",
    ),
]


def training_options(
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
    device: o.Device = None,
    workers: o.Workers = None,
    keep_views: KeepViews = None,
    compiled: Compile = False,
    recompute: Recompute = False,
    track: Track = None,
) -> "tuple[TrainOptions, MachineOptions]":
    """Options of the command line -> those of the training, and those of this machine."""
    from students.options import MachineOptions, TrainOptions
    from students.plan.effects import check_epochs

    check_epochs(epochs)
    options = TrainOptions(
        student=student, recipe=recipe, settings=tuple(settings or ()), val=places(val), size=size, new_head=new_head, out=out,
        background=background, seed=seed, epochs=epochs, steps=steps, batch=batch, micro=micro,
        log_every=log_every, validate_every=val_every, keep_every=keep_every,
    )  # fmt: skip
    where = MachineOptions(
        device=device or "auto", workers=workers, keep_views=_bytes(keep_views), data=data,
        compiled=compiled, recompute=recompute, stop_at=stop_at, trackers=o.comma_list(track),
    )  # fmt: skip
    return options, where


def _bytes(text: str | None) -> int | None:
    """The value of `--keep-views`."""
    from kdcache.base.figures import byte_count

    return None if text is None else 0 if text == "0" else byte_count(text, "--keep-views")


def places(val: list[str] | None) -> str | tuple[str, ...] | None:
    """The values of `--val`: None, the only one, or all of them."""
    return val[0] if val and len(val) == 1 else tuple(val) if val else None


def caches(given: list[str] | None) -> "Path | tuple[NamedCache, ...] | None":
    """The values of `--cache`: None, the only one, or all of them with their names."""
    from students.options import NamedCache

    named = tuple(NamedCache.parsed(text) for text in given or ())
    return named[0].path if len(named) == 1 and named[0].name is None else named or None


def numbers(text: str | None) -> tuple[int, ...] | None:
    """`0,1,2` -> (0, 1, 2): view numbers."""
    if text is None:
        return None
    words = [whole(word) for word in o.comma_list(text)]
    found = tuple(word for word in words if word is not None)
    if not words or len(found) < len(words):
        raise UsageError(f"--views {text} is not a list of view numbers from 0", hint="such as --views 0,1,2")
    if len(set(found)) < len(found):
        raise UsageError(f"--views {text} names a view twice", hint="name each view once, such as --views 0,1,2")
    return found
