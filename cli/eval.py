"""`kd eval`: how good a trained student is."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli import options as o
from cli.command import command
from cli.output import Ui
from cli.runs import RunPath, open_run
from cli.text import columns, duration, pairs, plural
from kdcache.base.figures import whole
from kdcache.errors import Incomplete, UsageError
from students.base import limits

if TYPE_CHECKING:
    from students.runs.run import Run
    from students.tasks.classify import Report
    from students.tasks.evaluate import How
    from students.tasks.features import Compared
    from students.tasks.few_shot import FewShotReport
    from students.tasks.retrieve import RetrieveReport

EVAL = """
kd eval LATEST
kd eval kd/runs/first --data imagenetv2-matched-frequency/
kd eval LATEST --data imagenet:DIR:val --real real.json
kd eval LATEST --task few-shot --data EuroSAT/ --shots 5,20
kd eval LATEST --task retrieve
kd eval LATEST --task knn --data cifar10:DIR:test
"""
Images = Annotated[
    str | None,
    typer.Option("--data", metavar="SOURCE", help="Labelled images; left out: the run's own validation images."),
]
Task = Annotated[
    Literal["classify", "few-shot", "retrieve", "probe", "knn"] | None,
    typer.Option(
        "--task",
        metavar="classify|few-shot|retrieve|probe|knn",
        help="What it is asked to do; left out: classify, or retrieve where it has no classifier.",
    ),
]
Bank = Annotated[
    str | None,
    typer.Option("--bank", metavar="SOURCE", help="Images to compare with; left out: the training images, or split."),
]
Real = Annotated[
    Path | None, typer.Option("--real", metavar="FILE", help="Reassessed ImageNet labels (real.json), counted as well.")
]
Shots = Annotated[
    str | None, typer.Option("--shots", metavar="LIST", help="Images a class in few-shot episodes: 5,20,50.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a number of configs/tasks/few-shot.yaml; repeatable."),
]
Device = Annotated[str | None, typer.Option("--device", metavar="NAME", help="cpu, cuda or cuda:1.")]
Batch = Annotated[
    int | None, typer.Option("--batch", metavar="N", min=1, max=limits.BATCH, help="Images the student sees at a time.")
]
PrecisionName = Annotated[
    o.Precision | None,
    typer.Option("--precision", metavar="NAME", help="float32, bfloat16 or float16; left out: as it was trained."),
]
_CONFUSED, _NAMED = 5, 5


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "eval", examples=EVAL)(evaluate)


def evaluate(
    ui: Ui,
    run: RunPath,
    data: Images = None,
    task: Task = None,
    bank: Bank = None,
    real: Real = None,
    shots: Shots = None,
    settings: Settings = None,
    device: Device = None,
    batch: Batch = None,
    precision: PrecisionName = None,
    workers: o.Workers = None,
    seed: o.Seed = 0,
) -> int:
    """Judge a trained student on labelled images, with its best weights.

    classify: top-1 and top-5, loss, calibration error, the most frequent confusions. The images' classes are found among
    the student's by name; folders called 0 to N-1 or by WordNet ids are understood too. few-shot: a linear head on frozen
    features, 600 episodes of 5 classes, any labelled folder. retrieve: are the nearest images of the bank of the same class,
    and the other way round? probe: a linear probe fitted on the bank. knn: a vote of its nearest 20. Results are kept in
    RUN/evals for `kd report`.
    """
    opened = open_run(ui, run)
    task = task or _usual_task(opened)
    _check(task, opened, real=real, shots=shots, settings=settings, bank=bank)
    asked = _numbers(shots)

    # After what can be refused at once: this takes torch.
    from kdcache.base.machine import render_workers
    from students.tasks.evaluate import How

    how = How(data=data, device=device, workers=render_workers(workers), batch=batch, precision=precision)
    if task == "classify":
        return _classify(ui, opened, how, real)
    if task == "few-shot":
        return _few_shot(ui, opened, how, asked, tuple(settings or ()), seed)
    return _embeddings(ui, opened, task, how, bank, seed)


def _usual_task(run: "Run") -> Any:
    from students.families.registry import family_of

    return family_of(run.record.student).defaults.task


def _check(
    task: str, run: "Run", *, real: Path | None, shots: str | None, settings: list[str] | None, bank: str | None
) -> None:
    if task != "few-shot" and (shots or settings):
        given = "--shots" if shots else "--set"
        raise UsageError(f"{given} is of few-shot episodes", hint=f"kd eval RUN --task few-shot {given} …")
    if task != "classify" and real:
        raise UsageError("--real is of classification", hint="leave it out, or leave --task out")
    if task in ("classify", "few-shot") and bank:
        raise UsageError(f"--bank is of embeddings, not of {task}", hint="--task retrieve, probe or knn")
    if task == "classify" and not run.record.student.classes:
        raise UsageError(f"{run.record.student.name} has no classifier", hint="--task retrieve, probe, knn or few-shot")


def _numbers(shots: str | None) -> tuple[int, ...] | None:
    if shots is None:
        return None
    found = [whole(item) for item in o.comma_list(shots)]
    numbers = tuple(filter(None, found))
    if not found or len(set(numbers)) < len(found):
        raise UsageError(f"--shots {shots} is not a list of different whole numbers from 1", hint="--shots 5,20,50")
    return numbers


def _classify(ui: Ui, run: "Run", how: "How", real: Path | None) -> int:
    from students.tasks.evaluate import judge_run

    report, path = judge_run(run, how, ui.progress(), real=real)
    low, high = report.interval
    lines = [
        ("run", f"{run.path}, {run.record.student.name}"),
        ("images", f"{report.images:,} of {report.data}, classes matched {report.matched}"),
        ("top-1", f"{report.top1:.2%}, 95 % interval {low:.2%} to {high:.2%}"),
        ("top-5", f"{report.top5:.2%}"),
    ]
    if report.real:
        low, high = report.real.interval
        of = f"{report.real.images:,} images that have labels"
        lines.append(("real", f"{report.real.top1:.2%} of {of}, 95 % interval {low:.2%} to {high:.2%}"))
    lines += [
        ("loss", f"{report.loss:.4f}"),
        ("calibration error", f"{report.calibration_error:.4f}"),
        ("took", f"{duration(report.seconds)}, {report.images / report.seconds:,.0f} images/s on {report.device}"),
        ("kept", str(path)),
    ]
    confused = report.most_confused(_CONFUSED)
    table = columns([["was", "was taken for", "images"], *([t, g, f"{n:,}"] for t, g, n in confused)], right=(2,))
    ui.answer({**_facts(run, path), **report.plain()}, pairs(lines) + (f"\n\n{table}" if confused else ""))
    return _left_out(ui, report)


def _few_shot(
    ui: Ui, run: "Run", how: "How", shots: tuple[int, ...] | None, settings: tuple[str, ...], seed: int
) -> int:
    from students.tasks.evaluate import judge_few_shot

    report, path = judge_few_shot(run, how, ui.progress(), shots=shots, settings=settings, seed=seed)
    asked = report.settings
    lines = [
        ("run", f"{run.path}, {run.record.student.name}"),
        ("images", f"{report.images:,} of {report.data}"),
        (
            "episodes",
            f"{asked.episodes:,} of {asked.way} classes, {asked.queries} questions a class, seed {report.seed}",
        ),
        ("took", f"{duration(report.seconds)} on {report.device}"),
        ("kept", str(path)),
    ]
    rows = [[f"{m.shots}", f"{m.accuracy:.2%} ± {m.half_width:.2%}", f"{m.classes:,}"] for m in report.marks]
    table = columns([["shots", "accuracy", "classes"], *rows], right=(0, 2))
    ui.answer({**_facts(run, path), **report.plain()}, f"{pairs(lines)}\n\n{table}")
    return _left_out(ui, report)


def _embeddings(
    ui: Ui, run: "Run", task: Literal["retrieve", "probe", "knn"], how: "How", bank: str | None, seed: int
) -> int:
    from students.tasks.evaluate import judge_embeddings
    from students.tasks.retrieve import RetrieveReport

    report, path = judge_embeddings(run, task, how, ui.progress(), bank=bank, seed=seed)
    about = report.about
    lines = [
        ("run", f"{run.path}, {run.record.student.name}"),
        ("images", f"{about.images:,} of {about.data}"),
        ("bank", f"{about.bank_images:,} of {about.bank}"),
        ("took", f"{duration(report.seconds)} on {report.device}"),
        ("kept", str(path)),
    ]
    if isinstance(report, RetrieveReport):
        text = f"{pairs(lines)}\n\n{_retrieved(report)}"
    else:
        low, high = report.marks.interval
        text = pairs([*lines, ("top-1", f"{report.marks.top1:.2%}, 95 % interval {low:.2%} to {high:.2%}")])
    ui.answer({**_facts(run, path), **report.plain()}, text)
    return _left_out(ui, about)


def _retrieved(report: "RetrieveReport") -> str:
    ways = (("images in the bank", report.marks.found), ("bank in the images", report.marks.inverse))
    rows = [
        [
            name,
            f"{way.top1:.2%} ({way.interval[0]:.1%} to {way.interval[1]:.1%})",
            f"{way.top3:.2%}",
            f"{way.top3_all:.2%}",
        ]
        for name, way in ways
    ]
    return columns([["searched", "nearest", "one of three", "all three"], *rows], right=(1, 2, 3))


def _facts(run: "Run", path: Path) -> dict[str, str]:
    return {"run": str(run.path), "kept": str(path)}


def _left_out(ui: Ui, report: "Report | FewShotReport | Compared") -> int:
    """Images that count for nothing are told; unreadable ones make the evaluation incomplete."""
    if report.unlabelled:
        ui.warn(f"{plural(report.unlabelled, 'image')} without a class left out")
    for image_id, reason in list(report.rejected.items())[:_NAMED]:
        ui.warn(f"{image_id} cannot be used: {reason}")
    if len(report.rejected) > _NAMED:
        ui.warn(f"… and {plural(len(report.rejected) - _NAMED, 'image')} more: see rejected in the kept file")
    return Incomplete.exit_code if report.rejected else 0
