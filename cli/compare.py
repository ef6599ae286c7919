"""`kd compare`: measure the same training with a connected teacher and from a cache."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import complete
from cli import train_options as t
from cli.build_options import build_options
from cli.command import command
from cli.output import Ui
from cli.text import columns, on_a_line, pairs
from students.base import limits

if TYPE_CHECKING:
    from kdcache.build.options import BuildOptions
    from students.compare.result.comparison import Comparison
    from students.compare.result.verdict import Verdict

COMPARE = """
kd compare on-stream off-stream
kd compare on-stream off-stream --teacher timm:davit_base_fl --weights random --student tinyvit-5m --steps 6 --json
kd compare off-stream:k=1 off-stream:k=10 hard-labels on-stream --repeat 10
kd compare on-stream off-stream --codec full --train-set precision=float32
kd compare on-stream off-stream off-stream:only=targets --student data2vec-nano
kd compare on-stream off-stream --gpu-memory 24GB --train-batch 256
kd compare on-stream off-stream --project "n_images=14.2M epochs=90 views=90 gpus=8" --price 2.5
kd compare on-stream off-stream --epochs 30 --students 3 --watts 65
"""
Arms = Annotated[
    list[str],
    typer.Argument(
        metavar="WAY...",
        help="Ways to train (docs/compare.md): on-stream, off-stream, off-stream:k=10, off-stream:codec=int8, "
        "off-stream:only=targets, hard-labels, no-teacher.",
    ),
]
Steps = Annotated[
    int, typer.Option("--steps", metavar="N", min=2, max=limits.STEPS, help="Training steps of each measurement.")
]
Repeat = Annotated[
    int, typer.Option("--repeat", metavar="N", min=1, max=limits.REPEATS, help="Measurements of each way, in turn.")
]
Images = Annotated[
    int | None,
    typer.Option(
        "--images",
        metavar="N",
        min=1,
        max=limits.JOB,
        help="Use N of the images. Default: 1,024, fewer for a slow teacher.",
    ),
]
Epochs = Annotated[
    float | None,
    typer.Option(
        "--epochs",
        metavar="X",
        help="Epochs of the whole training for which time and cost are projected. Default: the recipe's.",
    ),
]
Students = Annotated[
    int,
    typer.Option(
        "--students",
        metavar="N",
        min=1,
        max=limits.JOB,
        help="Number of students trained on the same images in that projection.",
    ),
]
Price = Annotated[
    float | None, typer.Option("--price", metavar="X", help="Price of one device per hour; adds a row of costs.")
]
Watts = Annotated[
    float | None,
    typer.Option(
        "--watts",
        metavar="X",
        help="Power of one device, or of the machine, while it works; adds a row of energy. Where the driver of an "
        "accelerator counts energy, its figures are used.",
    ),
]
Papers = Annotated[
    bool, typer.Option("--papers", help="Also show the figures of two papers that trained from stored outputs.")
]
Project = Annotated[
    str | None,
    typer.Option(
        "--project",
        metavar="TEXT",
        help='Another training to project for: "n_images=14.2M epochs=90 views=90 gpus=8". Default: this one, over all '
        "images of --data. The answer prints the text of its own.",
    ),
]
GpuMemory = Annotated[
    str | None,
    typer.Option(
        "--gpu-memory",
        metavar="SIZE",
        help="Find the largest batch that fits into this much memory of a device (on a CPU: of a process), such as 24GB.",
    ),
]
TrainRecipe = Annotated[
    str | None,
    typer.Option(
        "--train-recipe",
        metavar="NAME|FILE",
        help="Training recipe (kd config list recipes) or a .yaml file. Default: as in kd train --recipe.",
        autocompletion=complete.presets("recipes"),
    ),
]
TrainSettings = Annotated[
    list[str] | None,
    typer.Option("--train-set", metavar="KEY=VALUE", help="Change one value of the training recipe; repeatable."),
]
TrainBatch = Annotated[
    int | None,
    typer.Option(
        "--train-batch",
        metavar="N",
        min=1,
        max=limits.BATCH,
        help="Images per training step. Default: the recipe's, fewer for a slow teacher.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", metavar="DIR", help="Folder of the comparison. Default: ./kd/compares/TEACHER-STUDENT."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "compare", examples=COMPARE, shared=build_options, resumable=True)(compare)


def compare(
    ui: Ui,
    options: "BuildOptions",
    arms: Arms,
    student: t.Student = "tinyvit-5m",
    student_size: t.StudentSize = None,
    train_recipe: TrainRecipe = None,
    train_settings: TrainSettings = None,
    train_batch: TrainBatch = None,
    micro: t.Micro = None,
    val: t.Val = None,
    steps: Steps = 12,
    repeat: Repeat = 5,
    images: Images = None,
    epochs: Epochs = None,
    students: Students = 1,
    price: Price = None,
    watts: Watts = None,
    project: Project = None,
    papers: Papers = False,
    gpu_memory: GpuMemory = None,
    out: Out = None,
) -> None:
    """Run the same training in several ways, and measure whether a cache pays off on this machine.

    The ways take turns, each in its own process, with the same initial weights, images and views. Memory is the peak of one
    process. The answer is for the whole training: the recipe's epochs over all images of --data, unless --epochs, --students or
    --project say otherwise; with others of these, the same measurements are used. --recipe and --set change the views,
    --train-recipe and --train-set the training.
    """
    from kdcache.base.figures import byte_count
    from students.compare.options import CompareOptions
    from students.compare.run import compare as run

    asked = CompareOptions(
        tuple(arms), options, images=images, student=student or "tinyvit-5m", recipe=train_recipe or "",
        settings=tuple(train_settings or ()), size=student_size, steps=steps, repeat=repeat, batch=train_batch,
        micro=micro, val=t.places(val), memory=byte_count(gpu_memory, "--gpu-memory") if gpu_memory else None, out=out,
        device=options.devices[0] if options.devices else "auto",
        epochs=epochs, students=students, price=price, watts=watts, project=project,
    )  # fmt: skip
    _answer(ui, *run(asked, ui.progress()), papers=papers)


def _answer(ui: Ui, found: "Comparison", path: Path, *, papers: bool) -> None:
    from students.api import compared

    _, judged, _, report = compared(found, path, papers=papers)
    facts = {**found.plain(), "verdict": judged.plain(), "path": str(path), "report": str(report)}
    ui.answer(facts, _text(found, judged, report, papers=papers))


def _text(found: "Comparison", judged: "Verdict", report: Path, *, papers: bool) -> str:
    from students.compare.result.papers import papers as of_papers
    from students.compare.result.table import heading, table

    answer = "\n".join(on_a_line(sentence) for sentence in judged.answer.sentences)
    rows = [["", *(row.arm for row in judged.rows)], *table(found, judged)]
    more = (*judged.sentences, *(of_papers() if papers else ()))
    sentences = "\n".join(f"- {on_a_line(sentence)}" for sentence in more)
    head = pairs([*heading(found, judged), ("report", str(report))])
    return f"{answer}\n\n{head}\n\n{columns(rows, right=range(1, len(rows[0])))}\n\n{sentences}"
