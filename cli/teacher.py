"""`kd teacher`: list teachers, fit a classifier head, train a nano size."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import complete
from cli import options as o
from cli.command import command, group
from cli.late import TRAINABLE
from cli.output import Ui
from cli.text import duration, listing, pairs, plural
from kdcache.base import limits
from kdcache.errors import UsageError
from students.base.limits import EPOCHS

if TYPE_CHECKING:
    from kdcache.teachers.probe import FittedHead

LIST = """
kd teacher list
kd teacher list --json
"""
FIT = """
kd teacher fit-head --teacher florence --size base --data imagenet/train --limit 50000 --out head.safetensors
kd cache build --teacher florence --size base --head head.safetensors --data photos/
"""
TRAIN = """
kd teacher train-nano florence
kd teacher train-nano clip --seed 1 --out mine/
kd teacher train-nano data2vec --workers 1
"""


def _trainable(incomplete: str) -> list[str]:
    from kdcache.teachers.registry import trainable_names

    return complete.starting(trainable_names(), incomplete)


Family = Annotated[
    str, typer.Argument(metavar="FAMILY", help=f"The teacher family: {TRAINABLE}.", autocompletion=_trainable)
]
Folder = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the checkpoint.")]
Epochs = Annotated[
    int | None,
    typer.Option(
        "--epochs",
        metavar="N",
        min=1,
        max=EPOCHS,
        help="Passes over the images. Default: as for the weights that ship in the package.",
    ),
]
Threads = Annotated[
    int, typer.Option("--workers", metavar="N", min=1, max=limits.WORKERS, help="Threads that draw images and train.")
]
HeadOut = Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The new head file.")]
TrainedSize = Annotated[str, typer.Option("--size", metavar="NAME", help="Size in the package.")]
Limit = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", min=1, help="Use only N of the images, chosen by the seed. Default: all."),
]

_SHOWN = 5

app = group("List teachers, fit a head, train the nano sizes.")


def teacher_list(ui: Ui) -> None:
    """List the teachers and their sizes, the default one first."""
    from kdcache.teachers.registry import PLUGINS, families, sizes_of

    facts = [{"name": f.written, "sizes": sizes_of(f.name), "about": f.about} for f in families()]
    rows = [[f.written, ", ".join(sizes_of(f.name)) or "-", f.about] for f in families()]
    for trouble in PLUGINS.troubles():
        ui.warn(trouble.message)
    ui.answer(facts, listing([["teacher", "sizes", "what it is"], *rows]))


def fit_head(
    ui: Ui,
    out: HeadOut,
    teacher: o.Teacher = None,
    size: o.Size = None,
    weights: o.WeightsFile = None,
    data: o.Data = None,
    background: o.BackgroundName = None,
    limit: Limit = None,
    device: o.Devices = None,
    batch: o.Batch = None,
    workers: o.Workers = None,
    seed: o.Seed = 0,
) -> int:
    """Fit a classifier head on labelled images, for a teacher that has none.

    The teacher embeds each image once, and a linear probe is fitted on the embeddings. Its accuracy on a tenth of the images,
    which are not used for fitting, is stored in the file. Exit code 3: done, but some images could not be read.
    """
    from kdcache.base.machine import best_device, render_workers
    from kdcache.teachers.probe import fit_head_file

    if teacher is None:
        raise UsageError("no --teacher", hint="kd teacher list")
    device = device or best_device()
    done = fit_head_file(
        teacher,
        out,
        progress=ui.progress(),
        size=size,
        weights=weights,
        data=data,
        background=background,
        limit=limit,
        device=device, batch=batch, workers=render_workers(workers), seed=seed,
    )  # fmt: skip
    if done.empty:
        some = ", ".join(done.empty[:_SHOWN]) + (" …" if len(done.empty) > _SHOWN else "")
        what = plural(len(done.empty), "class", "classes")
        ui.warn(f"no image of {what}, which the head will hardly ever predict: {some}")
    facts = {"classes": done.classes, "images": done.images, "rejected": done.rejected, "accuracy": done.accuracy}
    answer = {"path": str(done.path), "teacher": done.teacher, **facts, "empty_classes": list(done.empty)}
    ui.answer(answer, pairs(_fitted(done)))
    return 3 if done.rejected else 0


def _fitted(done: "FittedHead") -> list[tuple[str, str]]:
    lines = [
        ("head", f"{done.path}, for {done.teacher}"),
        ("fitted on", f"{plural(done.images, 'image')} of {plural(done.classes, 'class', 'classes')}"),
        ("accuracy", f"{done.accuracy:.1%} on the tenth of the images not used for fitting"),
    ]
    if done.rejected:
        lines.append(("rejected", f"{plural(done.rejected, 'image')} that could not be read, such as {done.reason}"))
    return lines


def train_nano(
    ui: Ui,
    family: Family,
    out: Folder = Path("kd/teachers"),
    size: TrainedSize = "nano",
    epochs: Epochs = None,
    limit: Limit = None,
    workers: Threads = 2,
    seed: o.Seed = 0,
) -> None:
    """Train a teacher of the package on generated pictures, as for the weights that ship in the package.

    Some families learn class names, others train without labels. It takes about half an hour on two cores. The same
    command continues a training that was stopped. Use the result with --size SIZE --weights FILE.
    """
    from kdcache.teachers.nano_training.train import train_nano as train

    done = train(family, out, size=size, seed=seed, epochs=epochs, count=limit, workers=workers, progress=ui.progress())
    lines = [
        ("weights", str(done.path)),
        ("accuracy", f"{done.accuracy:.1%} {done.measured}"),
        ("took", duration(done.seconds)),
    ]
    ui.answer({"path": str(done.path), "accuracy": done.accuracy, "seconds": done.seconds}, pairs(lines))


command(app, "list", examples=LIST)(teacher_list)
command(app, "fit-head", examples=FIT)(fit_head)
command(app, "train-nano", examples=TRAIN)(train_nano)
