"""Runs a comparison: builds its caches, trains every arm several times, each time in its own process, and collects the results.

Input: options. Output: a Comparison. Arms take turns (A B A B …), so that a machine that slows down slows all of them. An
interrupted comparison is resumed: its folder keeps the options (begun.json) and every finished training (measured/).
"""

import json
import os
import platform
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from kdcache.base.atomic import make_folder, write_file
from kdcache.base.digest import file_sha256, json_digest
from kdcache.base.folder_lock import locked_folder
from kdcache.base.plain_json import parse_json
from kdcache.base.progress import Progress
from kdcache.base.strict import Strict
from kdcache.build.check import check_asked
from kdcache.errors import UsageError
from kdcache.images import open_source
from kdcache.images.source import Source
from kdcache.store import Store
from kdcache.views.recipe import drawable
from students.base import limits
from students.base.validation import named
from students.compare.amount import Amount, amount, check_batch
from students.compare.arms import Arm, arms_of
from students.compare.caches import BASE, Caches, build_caches
from students.compare.choices import check_arms, settle
from students.compare.job import job_of, project_of, recipe_epochs
from students.compare.measuring.measure import ArmTask
from students.compare.options import CompareOptions
from students.compare.result.comparison import Comparison
from students.compare.result.sums import Workload
from students.compare.room import Room, room
from students.compare.rounds import AGAIN, Rounds
from students.judging.measures import measure_of_recipe
from students.plan.data import count_of_usable
from students.recipe import Recipe
from students.runs.find_teacher import RUN
from students.runs.run import Run

COMPARES = Path("kd/compares")
BEGUN, RESULT = "begun.json", "compare.json"
"""Files of a comparison: the options it was started with, and its result."""


class Begun(Strict):
    """The options, number of images and batch with which a comparison was started."""

    asked: dict[str, Any]
    amount: Amount


def compare(options: CompareOptions, progress: Progress) -> tuple[Comparison, Path]:
    """Measure all arms; the result is also written to OUT/compare.json."""
    arms = arms_of(options.arms)
    options, recipe = settle(options)
    check_arms(arms, options.student, recipe, options.build.kept)
    check_asked(options.build, None)
    if options.repeat < 1 or options.steps < 2:
        raise UsageError("a comparison needs at least one repeat of two steps", hint="--repeat 5 --steps 12")
    project_of(options, job_of(options, recipe, limits.JOB))  # a mistake is reported before anything is measured
    fingerprints: dict[str, str] = {}
    out = options.out or choose_out(options, recipe, fingerprints)
    asked = _fixed(options, recipe, out, fingerprints)
    # Chosen before the folder is made, so that a refused comparison leaves nothing behind.
    chosen = _begun(out, asked) or amount(options, arms, recipe.batch, progress)
    make_folder(out)
    with locked_folder(out, "compared"):
        before = None
        if (much := _begun(out, asked)) is None:
            much = chosen
            write_file(out / BEGUN, [json.dumps(Begun(asked=asked, amount=much).plain(), indent=1).encode() + b"\n"])
        elif (before := _finished(out, options)) is None:
            progress.note(f"resuming {out}")
        else:
            progress.note(f"using the measurements in {out}; to measure again, choose another --out")
        job = job_of(options, recipe, much.whole)
        found = before or _compare(options, arms, recipe, much, job, out, progress)
        asked_for = {"project": project_of(options, job), "recipe_epochs": recipe_epochs(options, recipe, much.whole)}
        found = found.model_copy(update={"job": job, **asked_for})
        write_file(out / RESULT, [json.dumps(found.plain(), indent=1).encode() + b"\n"])
    return found, out


def _compare(
    options: CompareOptions,
    arms: tuple[Arm, ...],
    recipe: Recipe,
    much: Amount,
    job: Workload,
    out: Path,
    progress: Progress,
) -> Comparison:
    options, caches = _with_caches(options, arms, recipe, much, out, progress)
    measure = measure_of_recipe(recipe.judge)
    rounds = Rounds(arms, partial(_task, options, caches, out), options.repeat, measure, progress)
    measured, disturbed = rounds.measured()
    plan, first = caches.store.plan, next(iter(measured.values()))[0]
    return Comparison(
        arms=arms,
        measured=measured,
        disturbed=disturbed,
        built=caches.built,
        caches=caches.of,
        room=_rooms(options, arms, caches, out, progress),
        teacher=plan.teacher,
        student=options.student,
        images=plan.dataset.name,
        image_bytes=much.bytes,
        batch=options.batch or much.batch,
        steps=options.steps,
        metric=measure.name,
        percent=measure.percent,
        higher_is_better=measure.higher_is_better,
        unjudged="the teacher's weights are random" if plan.teacher.has_random_weights else first.unjudged,
        recipe=options.recipe,
        pixels=first.pixels,
        device=_device(options.device),
        machine=f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        job=job,
        project=None,
    )


def _finished(out: Path, options: CompareOptions) -> Comparison | None:
    """The result in `out`, if it has as many repeats as asked for; None: there is something to measure."""
    if not (out / RESULT).is_file():
        return None
    found = Comparison.from_file(out / RESULT, what="a comparison", hint=AGAIN)
    return found if all(len(each) == options.repeat for each in found.measured.values()) else None


def _with_caches(
    options: CompareOptions, arms: tuple[Arm, ...], recipe: Recipe, much: Amount, out: Path, progress: Progress
) -> tuple[CompareOptions, Caches]:
    """The caches, and the options with their images and a batch that these images fill."""
    build = replace(options.build, data=much.data, step=much.batch)
    caches = build_caches(build, much.images, arms, _signal(recipe, options), out / "caches", progress)
    if (rows := caches.store.plan.dataset.rows) > caches.usable:
        progress.note(count_of_usable(caches.usable, rows))
    check_batch(options.batch, caches.usable)
    return replace(options, build=build, batch=min(much.batch, caches.usable)), caches


def _signal(recipe: Recipe, options: CompareOptions) -> str:
    """The signal that is stored: the first that the recipe needs, or else that the build keeps."""
    return next(iter(recipe.needs.signals), options.build.kept[0])


def _fixed(options: CompareOptions, recipe: Recipe, out: Path, fingerprints: dict[str, str]) -> dict[str, Any]:
    """Values that must be unchanged for a comparison to be resumed: the options, and the images and runs that they name.

    `fingerprints`: source -> fingerprint, of the sources that were scanned before; new ones are added.
    """
    begun = Store.plan_at(out / "caches" / BASE)
    like = None if begun is None else begun.dataset.source
    val = [_fingerprint(open_source(named(each)[1], like=like), fingerprints) for each in options.places]
    asked = {**options.plain(), "recipe": recipe.plain(), "val images": val if len(val) > 1 else next(iter(val), None)}
    if options.build.teacher.startswith(f"{RUN}:") and options.build.weights is not None:
        # A run is identified by its weights, not by its path.
        asked |= {"build.weights": None, "teacher sha256": file_sha256(Run.open(options.build.weights).weights)}
    plain: dict[str, Any] = parse_json(json.dumps(asked))
    return plain


def _fingerprint(source: Source, known: dict[str, str]) -> str:
    """The fingerprint of some images, which are scanned only where it is not known."""
    what = json_digest(source.spec())
    if what not in known:
        known[what] = source.scan().fingerprint
    return known[what]


def _begun(out: Path, asked: dict[str, Any]) -> Amount | None:
    """Number of images and batch of the comparison that was started in `out`; None if there is none."""
    if not (out / BEGUN).is_file():
        return None
    begun = Begun.from_file(out / BEGUN, what="a started comparison", hint=AGAIN)
    if other := [key for key in asked if asked[key] != begun.asked.get(key)]:
        was = ", ".join(f"{key} {begun.asked.get(key)!r}, now {asked[key]!r}" for key in other)
        raise UsageError(f"{out} was started with {was}", hint="choose another folder with --out")
    return begun.amount


def _rooms(
    options: CompareOptions, arms: tuple[Arm, ...], caches: Caches, out: Path, progress: Progress
) -> dict[str, Room]:
    if options.memory is None:
        return {}
    tasks = [_task(options, caches, out / "room", arm, 0) for arm in arms]
    return {task.arm.name: room(task, options.memory, caches.usable, progress) for task in tasks}


def _task(options: CompareOptions, caches: Caches, out: Path, arm: Arm, repeat: int, before: int = 0) -> ArmTask:
    """The task of an arm in a repeat, of which it was measured so often `before`. The first repeat alone is judged."""
    unjudged = repeat > 0 or (caches.store.plan.teacher.has_random_weights and options.val is None)
    again = f"-again-{before}" if before else ""
    name = arm.name.replace(":", "-").replace("=", "-")
    return ArmTask(
        arm=arm,
        cache=str(caches.path(arm)),
        out=str(out / "runs" / f"{name}-{repeat}{again}"),
        student=options.student,
        recipe=options.recipe,
        settings=options.settings,
        data=options.build.data,
        val="none" if unjudged else options.val,
        size=options.size,
        background=drawable(caches.store.plan.views.recipe).background if arm.stream == "none" else None,
        steps=options.steps,
        batch=options.batch,
        micro=options.micro,
        seed=options.build.seed + repeat,
        device=options.device,
        workers=options.build.workers,
        teacher_weights=options.build.weights,
        teacher_head=options.build.head,
    )


def choose_out(options: CompareOptions, recipe: Recipe, fingerprints: dict[str, str]) -> Path:
    """`kd/compares/TEACHER-STUDENT`, with a number if another comparison has that folder; the same one gets its folder again."""
    name = f"{options.build.teacher}-{options.student}".replace("/", "-").replace(":", "-")
    for number in count(1):
        out = COMPARES / (name if number == 1 else f"{name}-{number}")
        if not out.exists():
            return out
        begun = out / BEGUN
        if not begun.is_file():
            continue
        before = Begun.from_file(begun, what="a started comparison", hint=AGAIN)
        if before.asked == _fixed(options, recipe, out, fingerprints):
            return out
    raise AssertionError("unreachable: count() does not end")


def _device(name: str) -> str:
    import torch

    if name.startswith("cpu") or not torch.cuda.is_available():
        return "cpu"
    return str(torch.cuda.get_device_name(0))
