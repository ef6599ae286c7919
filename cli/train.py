"""`kd train` and `kd finetune`."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from cli import complete
from cli import train_options as t
from cli.command import command
from cli.output import Ui
from cli.runs import open_run, starting_point
from cli.text import duration, pairs
from cli.train_resume import RESUME_HELP, refuse_fixed
from kdcache.errors import Incomplete

if TYPE_CHECKING:
    from students.options import MachineOptions, TrainOptions
    from students.train.start import Finished

TRAIN = """
kd train --student tinyvit-5m
kd train --student tinyvit-5m --cache c2 --val photos-val/ --epochs 30
kd train --student tinyvit-21m --recipe tinyvit-22k --cache in22k --compile
kd train --cache c2 --cache c3 --recipe demo-hint   # two teachers of the same images
kd train --cache c2 --set objective.hard=0.5 --set objective.tail=bucket
kd train --student data2vec-nano        # from the newest cache of dense targets
kd train --resume LATEST                # resume a training that was stopped
kd train --stream on --cache c2         # the same steps, with the teacher running in each
torchrun --nproc-per-node 2 --no-python kd train --cache c2
"""
FINETUNE = """
kd finetune LATEST --data photos/ --val photos-val/ --new-head
kd finetune kd/runs/tinyvit-21m-in22k --data imagenet:DIR --recipe tinyvit-22kto1k --new-head
kd finetune kd/runs/tinyvit-21m-in1k --data imagenet:DIR --recipe tinyvit-384
kd finetune LATEST --data photos/ --new-head --freeze   # a classifier on a frozen base
"""
Resume = Annotated[str | None, typer.Option("--resume", metavar="RUN", help=RESUME_HELP, autocompletion=complete.runs)]
Begin = Annotated[
    str,
    typer.Argument(
        metavar="RUN|FILE",
        help="What to start from: a run, LATEST, or a weights file together with --student.",
        autocompletion=complete.runs,
    ),
]
Training = tuple["TrainOptions", "MachineOptions"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "train", examples=TRAIN, shared=t.training_options)(train)
    command(app, "finetune", examples=FINETUNE, shared=t.training_options)(finetune)


def train(
    ui: Ui,
    options: "Training",
    cache: t.Caches = None,
    stream: t.StreamChoice = "off",
    views: t.UseViews = None,
    start: t.Start = None,
    weights: t.TeacherWeights = None,
    head: t.TeacherHead = None,
    resume: Resume = None,
) -> int:
    """Train a student from the stored outputs of a teacher, with no teacher in the process.

    Before the first step the cache is checked against the images: signals, classes, parts, and a sample of views that are
    rendered again. The run is a folder ./kd/runs/NAME with its record, metrics.jsonl, checkpoints and the best weights.
    """
    training, machine = options
    machine = replace(machine, weights=weights, head=head)
    if resume is not None:
        from students.train.start import go_on

        run = open_run(ui, resume)
        refuse_fixed(ui.given, run)
        return _answer(ui, go_on(run.path, replace(machine, val=training.validation), ui.progress()))
    from students.plan.effects import check_source

    check_source(stream, ui.given, training.student)
    from students.train.start import start as begin

    start = start and starting_point(ui, start)
    training = replace(training, cache=t.caches(cache), stream=stream, views=t.numbers(views), start=start)
    return _answer(ui, begin(training, machine, ui.progress()))


def finetune(ui: Ui, options: "Training", run: Begin, head_rows: t.HeadRows = None, freeze: t.Freeze = False) -> int:
    """Train a student further, on the true classes of labelled images, at the same or a higher resolution.

    Attention biases are interpolated when the size changes. Classes other than the run's need --new-head, or --head-rows with
    the row of the old classifier that each class starts from (22k to 1k). With --freeze only the classifier is trained;
    everything else, statistics of norms included, stays unchanged to the bit.
    """
    training, machine = options
    from students.plan.effects import check_labelled

    check_labelled(machine.data)
    from students.train.start import start as begin

    run = starting_point(ui, run)
    asked = replace(training, stream="none", start=run, head_rows=head_rows, freeze=freeze)
    return _answer(ui, begin(asked, machine, ui.progress()))


def _answer(ui: Ui, finished: "Finished") -> int:
    if not finished.first:
        return 0
    run, outcome = finished.run, finished.outcome
    state, pacing = outcome.state, run.record.pacing
    judged = outcome.validation
    data = {
        "run": str(run.path),
        "ended": outcome.ended,
        "steps": state.step,
        "images": state.images,
        "seconds": round(state.seconds, 2),
        "images_per_second": round(state.images / state.seconds, 1) if state.seconds else None,
        "validation": judged[0] if len(judged) == 1 else judged or None,
        "best": state.best,
        "unreadable": outcome.unreadable,
    }
    student = run.record.student
    speed = f"{state.images / state.seconds:,.0f} images/s" if state.seconds else "nothing to do"
    lines = [
        ("run", str(run.path)),
        ("student", f"{student.name} at {student.input[0]} pixels{_classes(len(student.classes))}"),
        ("took", f"{state.step:,} of {pacing.steps:,} steps, {duration(state.seconds)}, {speed}"),
    ]
    measure = outcome.measure
    if outcome.score is not None:
        of_kept = "" if state.best is None else f", the kept weights {measure.text(state.best)}"
        lines.append((measure.name, f"{measure.text(outcome.score)}{of_kept}"))
    if len(judged) > 1:
        lines += [(f"  {line['set']}", f"{line['score']:.4g}, {line['images']:,} images") for line in judged]
    if outcome.ended == "steps":
        lines.append(("resume", run.way_on))
    ui.answer(data, pairs(lines))
    return Incomplete.exit_code if outcome.unreadable else 0


def _classes(count: int) -> str:
    return f", {count:,} classes" if count else ", no classifier"
