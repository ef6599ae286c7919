"""Builds what is compared, runs every arm again and again in turn, each in a process of its own, and collects what they tell.

Input: options. Output: a Comparison. Arms take turns (A B A B …), so that a machine that slows down slows all of them. A
comparison that was stopped goes on: its folder keeps what was asked (begun.json) and every arm that is done (measured/).
"""

import json
import os
import platform
import time
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from kdcache.atomic import make_folder, write_file
from kdcache.errors import StorageError, UsageError
from kdcache.progress import Progress
from kdcache.spec import TeacherSpec
from kdcache.strict import Strict
from students.compare.amount import Amount, amount
from students.compare.arms import Arm, arms_of
from students.compare.caches import Built, Caches, build_caches
from students.compare.choices import check_arms, settle
from students.compare.measure import Measured, Task
from students.compare.options import CompareOptions
from students.compare.process import in_a_process
from students.compare.room import Room, room
from students.compare.sums import Job, projected
from students.recipe import Recipe
from students.splits import held_out

COMPARES = Path("kd/compares")
METRICS = {"classify": "top-1", "retrieve": "retrieval"}
"""by how a recipe judges"""


class Comparison(Strict):
    """Everything that was measured."""

    arms: tuple[Arm, ...]
    measured: dict[str, tuple[Measured, ...]]
    """arm -> its repeats"""
    built: dict[str, Built]
    """cache -> what it took"""
    caches: dict[str, str]
    """arm -> its cache"""
    room: dict[str, Room]
    """arm -> what fits on a device of the size that was asked for"""
    teacher: TeacherSpec
    student: str
    images: str
    image_bytes: int | None
    """on disk, all of them; None where they are generated or remote"""
    batch: int
    steps: int
    metric: str
    """what the score of a student is called"""
    device: str
    machine: str
    job: Job
    """all images of the source, for the epochs that were asked for"""
    project: Job | None

    def cache(self, arm: Arm) -> Built | None:
        """The cache an arm learns from."""
        return self.built[self.caches[arm.name]] if arm.teacher == "stored" else None


class Begun(Strict):
    """What a comparison was begun with."""

    asked: dict[str, Any]
    amount: Amount


def compare(options: CompareOptions, progress: Progress) -> tuple[Comparison, Path]:
    """Measure all arms; the result is also in OUT/compare.json."""
    arms = arms_of(options.arms)
    options, recipe = settle(options)
    check_arms(arms, options.student, recipe, options.build.kept)
    if options.repeat < 1 or options.steps < 2:
        raise UsageError("at least one repeat of two steps is needed", hint="--repeat 3 --steps 30")
    whole = Job(
        images=1, epochs=options.epochs, students=options.students, views=options.build.views, price=options.price
    )
    _projected(options, whole)  # a word nobody understands is told before anything is measured
    out = options.out or choose_out(options)
    much = _begin(options, arms, recipe, out, progress)
    options = replace(options, build=replace(options.build, data=much.data), batch=much.batch)
    signal = recipe.objective.signal or options.build.kept[0]
    caches = build_caches(options.build, much.images, arms, signal, out / "caches", progress)
    metric = METRICS[recipe.judge.task]
    measured = _measure(options, arms, caches, metric, out, progress)
    plan, job = caches.store.plan, whole.model_copy(update={"images": much.whole})
    found = Comparison(
        arms=arms,
        measured=measured,
        built=caches.built,
        caches=caches.of,
        room=_rooms(options, arms, caches, out, progress),
        teacher=plan.teacher,
        student=options.student,
        images=plan.dataset.name,
        image_bytes=_image_bytes(plan.dataset.source),
        batch=much.batch,
        steps=options.steps,
        metric=metric,
        device=_device(options.device),
        machine=f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        job=job,
        project=_projected(options, job),
    )
    write_file(out / "compare.json", [json.dumps(found.plain(), indent=1).encode() + b"\n"])
    return found, out


def _projected(options: CompareOptions, job: Job) -> Job | None:
    return None if options.project is None else projected(options.project, job)


def _begin(options: CompareOptions, arms: tuple[Arm, ...], recipe: Recipe, out: Path, progress: Progress) -> Amount:
    """How much is compared: chosen now, or when the comparison was begun."""
    if (out / "compare.json").exists():
        raise UsageError(f"{out} holds a comparison already", hint="choose another folder with --out")
    make_folder(out)
    file, asked = out / "begun.json", json.loads(json.dumps(options.plain()))
    if file.is_file():
        begun = Begun.from_plain(json.loads(file.read_bytes()))
        other = [key for key in asked if asked[key] != begun.asked.get(key)]
        if other:
            was = ", ".join(f"{key} {begun.asked.get(key)!r}, now {asked[key]!r}" for key in other)
            raise UsageError(f"{out} was begun with {was}", hint="choose another folder with --out")
        progress.note(f"going on with {out}")
        return begun.amount
    much = amount(options, arms, recipe.batch, progress)
    write_file(file, [json.dumps(Begun(asked=asked, amount=much).plain(), indent=1).encode() + b"\n"])
    return much


def _measure(
    options: CompareOptions, arms: tuple[Arm, ...], caches: Caches, metric: str, out: Path, progress: Progress
) -> dict[str, tuple[Measured, ...]]:
    make_folder(out / "measured")
    found: dict[str, list[Measured]] = {arm.name: [] for arm in arms}
    for repeat in range(options.repeat):
        for arm in arms:
            began = time.monotonic()
            task = _task(options, arm, caches, out, repeat)
            file = out / "measured" / f"{Path(task.out).name}.json"
            done = file.is_file()
            measured = Measured.from_plain(json.loads(file.read_bytes())) if done else in_a_process(task)
            if measured is None:
                raise StorageError(
                    f"{arm.name} needs more memory than there is, with {task.batch} images a step",
                    hint="--micro N computes a step in pieces; or a smaller --train-batch",
                )
            write_file(file, [json.dumps(measured.plain()).encode()])
            found[arm.name].append(measured)
            result = "" if measured.score is None else f", {metric} {measured.score:.1%}"
            took = "measured before" if done else f"{time.monotonic() - began:.0f} s"
            speed = f"{measured.images_per_second:,.3g} images/s{result}"
            progress.note(f"{repeat + 1} of {options.repeat}  {arm.name}: {speed} ({took})")
    return {name: tuple(each) for name, each in found.items()}


def _rooms(
    options: CompareOptions, arms: tuple[Arm, ...], caches: Caches, out: Path, progress: Progress
) -> dict[str, Room]:
    if options.memory is None:
        return {}
    rows = caches.store.plan.dataset.rows
    tasks = [_task(options, arm, caches, out / "room", 0) for arm in arms]
    return {task.arm.name: room(task, options.memory, rows, progress) for task in tasks}


def _task(options: CompareOptions, arm: Arm, caches: Caches, out: Path, repeat: int) -> Task:
    plan = caches.store.plan
    val = options.val or ("none" if plan.teacher.knows_nothing or held_out(plan.dataset.source) is None else None)
    name = arm.name.replace(":", "-").replace("=", "-")
    return Task(
        arm=arm,
        cache=str(caches.path(arm)),
        out=str(out / "runs" / f"{name}-{repeat}"),
        student=options.student,
        recipe=options.recipe,
        settings=options.settings,
        data=options.build.data,
        val=val,
        size=options.size,
        steps=options.steps,
        batch=options.batch,
        micro=options.micro,
        seed=options.build.seed + repeat,
        device=options.device,
        workers=options.build.workers,
        teacher_weights=options.build.weights,
        teacher_head=options.build.head,
    )


def choose_out(options: CompareOptions) -> Path:
    """`kd/compares/TEACHER-STUDENT`, with a number where another has the name; one that was stopped is gone on with."""
    name = f"{options.build.teacher}-{options.student}".replace("/", "-").replace(":", "-")
    asked = json.loads(json.dumps(options.plain()))
    for number in count(1):
        out = COMPARES / (name if number == 1 else f"{name}-{number}")
        if not out.exists():
            return out
        begun = out / "begun.json"
        stopped = begun.is_file() and not (out / "compare.json").exists()
        if stopped and json.loads(begun.read_bytes())["asked"] == asked:
            return out
    raise AssertionError("unreachable: count() does not end")


def _image_bytes(source: dict[str, Any]) -> int | None:
    """Bytes of all images, where they are files."""
    source = source["of"] if source["kind"] == "few" else source
    path = Path(str(source.get("path", source.get("pattern", ""))))
    if path.is_file():
        return path.stat().st_size
    if source["kind"] == "folder":
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return None


def _device(name: str) -> str:
    import torch

    if name.startswith("cpu") or not torch.cuda.is_available():
        return "cpu"
    return str(torch.cuda.get_device_name(0))
