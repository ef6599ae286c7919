"""`kd compare`: the same training with the teacher connected and from a cache, measured side by side."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options as o
from cli import train_options as t
from cli.build_options import build_options
from cli.command import command
from cli.output import Ui
from cli.text import columns, duration, pairs, plural, size

if TYPE_CHECKING:
    from kdcache.options import BuildOptions
    from students.compare.run import Comparison
    from students.compare.sums import Spread
    from students.compare.verdict import Row, Verdict

COMPARE = """
kd compare on-stream off-stream
kd compare on-stream off-stream --teacher timm:davit_base_fl --weights random --student tinyvit-5m --steps 6 --json
kd compare off-stream:k=1 off-stream:k=10 hard-labels on-stream --repeat 3
kd compare on-stream off-stream --codec full --train-set precision=float32
kd compare on-stream off-stream --project "n_images=14.2M epochs=90 views=90 gpus=8" --price 2.5
"""
Arms = Annotated[
    list[str], typer.Argument(metavar="WAY...", help="on-stream, off-stream, off-stream:k=10, hard-labels, no-teacher.")
]
Steps = Annotated[int, typer.Option("--steps", metavar="N", min=2, help="Training steps of each arm.")]
Repeat = Annotated[int, typer.Option("--repeat", metavar="N", min=1, help="How often every arm is run, in turn.")]
Images = Annotated[int, typer.Option("--images", metavar="N", min=1, help="Embedded images to use without --data.")]
Epochs = Annotated[float, typer.Option("--epochs", metavar="X", help="Epochs of the job the costs are added up for.")]
Students = Annotated[int, typer.Option("--students", metavar="N", min=1, help="Students of that job.")]
Price = Annotated[float | None, typer.Option("--price", metavar="X", help="Money for an hour of one device.")]
Project = Annotated[
    str | None,
    typer.Option("--project", metavar="TEXT", help='Another job: "n_images=14.2M epochs=90 views=90 gpus=8".'),
]
StudentSize = Annotated[int | None, typer.Option("--student-size", metavar="N", help="Pixels the student sees a side.")]
TrainRecipe = Annotated[
    str, typer.Option("--train-recipe", metavar="NAME|FILE", help="Training recipe (kd config list recipes).")
]
TrainSettings = Annotated[
    list[str] | None, typer.Option("--train-set", metavar="KEY=VALUE", help="Change a value of the training recipe.")
]
TrainBatch = Annotated[int | None, typer.Option("--train-batch", metavar="N", min=1, help="Images a training step.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "compare", examples=COMPARE, shared=build_options)(compare)


def compare(
    ui: Ui,
    options: "BuildOptions",
    arms: Arms,
    student: t.Student = "tinyvit-5m",
    student_size: StudentSize = None,
    train_recipe: TrainRecipe = "demo",
    train_settings: TrainSettings = None,
    train_batch: TrainBatch = None,
    micro: t.Micro = None,
    val: t.Val = None,
    steps: Steps = 30,
    repeat: Repeat = 3,
    images: Images = 2000,
    epochs: Epochs = 90.0,
    students: Students = 1,
    price: Price = None,
    project: Project = None,
    out: o.Out = None,
) -> None:
    """Measure the same training several ways, and say whether a cache is worth it, here, for you.

    Each arm runs in a process of its own, in turn, from the same weights, images and views. Memory is what one process
    holds at its peak. Totals and break-even are for --epochs of the images at hand, or for the job of --project.
    --recipe and --set are about the views, --train-recipe and --train-set about the training.
    """
    from students.compare.run import CompareOptions, embedded
    from students.compare.run import compare as run
    from students.compare.verdict import verdict

    build = embedded(replace(options, teacher=options.teacher or "florence"), images)
    sizes = {"size": student_size, "batch": train_batch, "micro": micro, "steps": steps, "repeat": repeat}
    job = {"epochs": epochs, "students": students, "price": price, "project": project}
    training = {"recipe": train_recipe, "settings": tuple(train_settings or ()), "val": val, "out": out}
    device = options.devices[0] if options.devices else "auto"
    asked = CompareOptions(tuple(arms), build, student or "tinyvit-5m", device=device, **training, **sizes, **job)  # type: ignore[arg-type]
    found, path = run(asked, ui.progress())
    judged = verdict(found)
    ui.answer({**found.plain(), "verdict": judged.plain(), "path": str(path)}, _text(found, judged, str(path)))


def _text(found: "Comparison", judged: "Verdict", path: str) -> str:
    teacher = f"{found.teacher.family} {found.teacher.size}" + (
        " RANDOM WEIGHTS" if found.teacher.weights.random else ""
    )
    job = judged.job
    repeats = len(found.measured[found.arms[0].name])
    work = f"{job.images:,} images × {job.epochs:g} epochs × {plural(job.students, 'student')}"
    head = pairs(
        [
            ("teacher", teacher),
            ("student", f"{found.student}, {found.steps} steps of {found.batch} images, {plural(repeats, 'repeat')}"),
            ("on", f"{found.device}, {found.machine}"),
            ("job", f"{work}, {plural(job.views, 'view')}, {plural(job.gpus, 'device')}"),
            ("kept", path),
        ]
    )
    stages = judged.rows[0].stages
    rows = [
        ["", *(row.arm for row in judged.rows)],
        ["disk, cache", *(size(row.cache_bytes) if row.cache_bytes else "–" for row in judged.rows)],
        ["memory, process", *(_reach(row.peak_memory, size) for row in judged.rows)],
        *_device_rows(judged),
        ["a step", *(_reach(row.step_seconds, _milliseconds) for row in judged.rows)],
        *([f"  {stage}", *(_milliseconds(row.stages[stage].mean) for row in judged.rows)] for stage in stages),
        ["images/s", *(f"{row.images_per_second.mean:,.0f}" for row in judged.rows)],
        ["job: build", *(duration(row.bill.build_hours * 3600) for row in judged.rows)],
        ["job: train", *(duration(row.bill.train_hours * 3600) for row in judged.rows)],
        *_money(judged),
        ["pays after", *(_even(row, judged) for row in judged.rows)],
        ["last loss", *(f"{row.loss.mean:.4f}" for row in judged.rows)],
        ["top-1", *("n/a" if row.top1 is None else _reach(row.top1, _percent) for row in judged.rows)],
    ]
    told = "\n".join(f"- {sentence}" for sentence in judged.sentences)
    return f"{head}\n\n{columns(rows, right=tuple(range(1, len(rows[0]))))}\n\n{told}"


def _device_rows(judged: "Verdict") -> list[list[str]]:
    if any(row.allocated is None or row.reserved is None for row in judged.rows):
        return []
    rows = [["memory, device"], ["  reserved"]]
    for row in judged.rows:
        rows[0].append(_reach(row.allocated, size) if row.allocated else "")
        rows[1].append(_reach(row.reserved, size) if row.reserved else "")
    return rows


def _money(judged: "Verdict") -> list[list[str]]:
    if judged.job.price is None:
        return []
    return [["job: money", *(f"{row.bill.money:,.2f}" for row in judged.rows)]]


def _even(row: "Row", judged: "Verdict") -> str:
    if row.arm not in judged.break_even:
        return "–"
    epochs = judged.break_even[row.arm]
    return "never" if epochs is None else f"{epochs:,.1f} epochs"


def _reach(spread: "Spread", shown: Callable[[float], str]) -> str:
    return shown(spread.mean) if spread.half is None else f"{shown(spread.mean)} ± {shown(spread.half)}"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms"


def _percent(share: float) -> str:
    return f"{share:.1%}"
