"""Evaluations of a run: made with its best weights, kept in <run>/evals/NAME.json, one file a task and dataset.

Input: a run, and images (its own validation images when none are named). Output: a report, on disk too, with the digest of the
weights it is about, so that a later reader can tell whether the run has better ones by now.
"""

import json
import re
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from kdcache.base.atomic import make_folder, write_file
from kdcache.base.digest import file_sha256, json_digest
from kdcache.base.machine import best_device, default_batch
from kdcache.base.progress import Progress
from kdcache.base.strict import Strict
from kdcache.config.presets import load_preset
from kdcache.errors import Damage, UsageError
from kdcache.images import Source, open_source
from kdcache.images.splits import HELD_OUT, held_out, training_split
from kdcache.store.same_images import images_again
from students.base.types import Precision
from students.runs.run import Run
from students.tasks.classify import Report, evaluate
from students.tasks.features import check_bank, look_at_both
from students.tasks.few_shot import FewShotReport, few_shot
from students.tasks.few_shot_numbers import FewShot
from students.tasks.pictures import Labelled, Pictures, labelled
from students.tasks.reading import ReadReport, probe, vote
from students.tasks.real import RealLabels
from students.tasks.retrieve import RetrieveReport, retrieve
from students.tasks.while_training import unchanged

if TYPE_CHECKING:
    from torch import nn

SPLITS = (*HELD_OUT, "train")
"""folders that hold folders of classes, those to judge on first"""

_NAME = 100
"""letters of the name of an evaluation"""
AnyReport = Report | FewShotReport | RetrieveReport | ReadReport


class Evaluation(Strict):
    """A report and what it is about."""

    weights_sha256: str
    report: Annotated[AnyReport, Field(discriminator="task")]


@dataclass(frozen=True)
class How:
    """On which images and how a student is judged. None: what fits."""

    data: str | None = None
    device: str | None = None
    workers: int = 0
    batch: int | None = None
    precision: Precision | None = None
    """None: as it was trained, so that the numbers agree with those of its validation"""


def judge_run(run: Run, how: How, progress: Progress, *, real: Path | None = None) -> tuple[Report, Path]:
    """Top-1 and the rest on labelled images; `real`: the file of reassessed ImageNet labels."""
    labels = None if real is None else RealLabels.read(real)
    images, (network, device, batch) = images_of(run, how.data), _ready(run, how)
    report = evaluate(
        network,
        run.record.student,
        images,
        device=device,
        workers=how.workers,
        batch=batch,
        precision=how.precision or run.record.recipe.precision,
        progress=progress,
        real=labels,
    )
    return report, _keep(run, report, "real" if real else "")


def judge_few_shot(
    run: Run,
    how: How,
    progress: Progress,
    *,
    shots: tuple[int, ...] | None = None,
    settings: tuple[str, ...] = (),
    seed: int = 0,
) -> tuple[FewShotReport, Path]:
    """Few-shot episodes on labelled images of any classes."""
    asked = load_preset("tasks", "few-shot", FewShot, settings)
    if shots is not None:
        asked = FewShot.from_plain(asked.plain() | {"shots": shots})
    images, (network, device, batch) = images_of(run, how.data), _ready(run, how)
    report = few_shot(
        network,
        run.record.student,
        images,
        asked,
        seed=seed,
        device=device,
        workers=how.workers,
        batch=batch,
        precision=how.precision or run.record.recipe.precision,
        progress=progress,
    )
    return report, _keep(run, report)


def judge_embeddings(
    run: Run,
    task: Literal["retrieve", "probe", "knn"],
    how: How,
    progress: Progress,
    *,
    bank: str | None,
    seed: int = 0,
) -> tuple[RetrieveReport | ReadReport, Path]:
    """What the run's embeddings are worth, against a bank of labelled images: its training images when none is named."""
    started = time.perf_counter()
    images = images_of(run, how.data)
    known = bank_of(run, how.data, bank)
    check_bank(images, known)
    network, device, batch = _ready(run, how)
    precision, spec = how.precision or run.record.recipe.precision, run.record.student
    with (
        Pictures(images, spec, workers=how.workers, batch=batch) as asked,
        Pictures(known, spec, workers=how.workers, batch=batch) as searched,
    ):
        seen = look_at_both(network, asked, searched, device=device, precision=precision, progress=progress)
    about: dict[str, Any] = {"about": seen.facts, "precision": precision, "device": device}
    report: RetrieveReport | ReadReport
    if task == "retrieve":
        report = RetrieveReport(marks=retrieve(seen), seconds=time.perf_counter() - started, **about)
    else:
        marks = probe(seen, seed=seed) if task == "probe" else vote(seen)
        report = ReadReport(task=task, marks=marks, seed=seed, seconds=time.perf_counter() - started, **about)
    return report, _keep(run, report)


def bank_of(run: Run, data: str | None, bank: str | None) -> Labelled:
    """The images a bank is made of: those named, else the training split beside `data`, else what the run was trained on."""
    if bank is not None:
        return labelled(_given(run, bank))
    if data is None:
        return unchanged(run.record.dataset)
    asked = _given(run, data).spec()
    if (split := training_split(asked)) is not None:
        return labelled(open_source(split))
    if (other := held_out(asked)) is not None:
        raise UsageError(
            f"{data} is a training split: it is what others are compared with",
            hint=f"ask about its {other.get('split', 'held-out')} split with --data, or name other images with --bank",
        )
    return unchanged(run.record.dataset)


def images_of(run: Run, data: str | None) -> Labelled:
    """The labelled images that are meant: those of `data`, or the run's own validation images, which must be unchanged."""
    if data is not None:
        given = _given(run, data)
        _refuse_splits(given.spec(), run)
        return labelled(given)
    val = run.record.val
    if val is None:
        raise UsageError(f"{run.path} was trained without validation images", hint="name images with --data")
    anew = "name images with --data: it is judged on those as they are"
    return labelled(*images_again(val, None, owner=f"the validation of {run.path}", anew=anew))


def _given(run: Run, data: str) -> Source:
    """Images that a user names, in the order of those the run knows: then the same ones are known to be the same."""
    return open_source(data, like=run.record.dataset.source)


def _refuse_splits(spec: dict[str, Any], run: Run) -> None:
    """A folder of splits looks like a folder of classes called train and val."""
    if spec.get("kind") != "folder":
        return
    folder = Path(str(spec["path"]))
    inside = {path.name for path in folder.glob("*/")}
    if not inside or inside - set(SPLITS) or inside & set(run.record.student.classes):
        return
    raise UsageError(
        f"{folder} holds {', '.join(sorted(inside))}, which are splits and no classes of images",
        hint=f"--data {shlex.quote(str(folder / next(name for name in SPLITS if name in inside)))}",
    )


def read_evaluations(run: Run) -> dict[str, Evaluation]:
    """All evaluations of a run by name."""
    return {path.stem: _read(path) for path in sorted((run.path / "evals").glob("*.json"))}


def _ready(run: Run, how: How) -> "tuple[nn.Module, str, int]":
    from students.base.machine import device_of

    device = str(device_of(how.device or best_device()))
    return run.network().to(device), device, how.batch or default_batch(run.record.student.input, device)


def _keep(run: Run, report: AnyReport, more: str = "") -> Path:
    data = report.about.data if isinstance(report, RetrieveReport | ReadReport) else report.data
    words = "-".join(filter(None, (report.task, data, more)))
    path = run.path / "evals" / f"{re.sub(r'[^A-Za-z0-9_-]+', '_', words)[:_NAME]}.json"
    if path.is_file() and not _same_subject(path, report):
        path = path.with_stem(f"{path.stem}-{json_digest(_subject(report))[:8]}")
    done = Evaluation(weights_sha256=file_sha256(run.weights), report=report)
    make_folder(path.parent)
    write_file(path, [json.dumps(done.plain(), ensure_ascii=False, indent=1).encode() + b"\n"])
    return path


def _same_subject(path: Path, report: AnyReport) -> bool:
    try:
        return _subject(_read(path).report) == _subject(report)
    except Damage:
        return True  # a damaged file is made anew, as the reader of it is told to


def _subject(report: AnyReport) -> dict[str, Any]:
    """What an evaluation is about; of two about the same the later one is kept."""
    if isinstance(report, RetrieveReport | ReadReport):
        about = report.about
        asked = {"seed": report.seed} if isinstance(report, ReadReport) else {}
        return {
            "fingerprint": about.fingerprint,
            "bank": about.bank_fingerprint,
            "precision": report.precision,
            **asked,
        }
    settled = {"settings": report.settings.plain(), "seed": report.seed} if isinstance(report, FewShotReport) else {}
    return {"fingerprint": report.fingerprint, "precision": report.precision, **settled}


def _read(path: Path) -> Evaluation:
    return Evaluation.from_file(path, what="an evaluation", hint="remove it and run kd eval again")
