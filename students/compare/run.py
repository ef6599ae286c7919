"""Builds what is compared, runs every arm again and again in turn, each in a process of its own, and collects what they tell.

Input: options. Output: a Comparison. Arms take turns (A B A B …), so that a machine that slows down slows all of them.
"""

import json
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from kdcache.atomic import make_folder, write_file
from kdcache.errors import KDError, UsageError
from kdcache.options import BuildOptions
from kdcache.progress import Progress
from kdcache.spec import TeacherSpec
from kdcache.store import Store
from kdcache.strict import Strict
from students.compare.arms import Arm, arms_of
from students.compare.measure import Measured, Task
from students.compare.sums import Job
from students.plan_run import held_out

COMPARES = Path("kd/compares")


@dataclass(frozen=True)
class CompareOptions:
    """One comparison, as asked for."""

    arms: tuple[str, ...]
    build: BuildOptions
    student: str = "tinyvit-5m"
    recipe: str = "demo"
    settings: tuple[str, ...] = ()
    size: int | None = None
    steps: int = 30
    repeat: int = 3
    batch: int | None = None
    micro: int | None = None
    val: str | None = None
    device: str = "auto"
    out: Path | None = None
    epochs: float = 90.0
    students: int = 1
    price: float | None = None
    project: str | None = None


class Built(Strict):
    """The cache of an arm."""

    codec: str
    bytes: int
    seconds: float
    """to build it: the teacher's one pass, without what is paid once a process, such as loading the teacher"""
    views: int
    rows: int

    @property
    def seconds_an_image(self) -> float:
        """For one view."""
        return self.seconds / (self.rows * self.views)


class Comparison(Strict):
    """Everything that was measured."""

    arms: tuple[Arm, ...]
    measured: dict[str, tuple[Measured, ...]]
    """arm -> its repeats"""
    built: dict[str, Built]
    """codec -> cache"""
    base: str
    """codec of the cache the others were made from"""
    teacher: TeacherSpec
    student: str
    images: str
    image_bytes: int | None
    """on disk; None where they are generated or remote"""
    batch: int
    steps: int
    device: str
    machine: str
    job: Job
    project: Job | None

    def codec_of(self, arm: Arm) -> str:
        """How the logits of an arm's cache are coded."""
        return arm.codec or self.base


def compare(options: CompareOptions, progress: Progress) -> tuple[Comparison, Path]:
    """Measure all arms; the result is also in OUT/compare.json."""
    arms = arms_of(options.arms)
    if options.repeat < 1 or options.steps < 2:
        raise UsageError("at least one repeat of two steps is needed", hint="--repeat 3 --steps 30")
    out = options.out or _choose_out(options)
    if (out / "compare.json").exists():
        raise UsageError(f"{out} holds a comparison already", hint="choose another folder with --out")
    make_folder(out)
    built, base, store = _build(options, arms, out, progress)
    measured = _measure(options, arms, base, store, out, progress)
    plan = store.plan
    job = Job(
        images=plan.dataset.rows,
        epochs=options.epochs,
        students=options.students,
        views=plan.views.count,
        price=options.price,
    )
    from students.compare.sums import projected

    found = Comparison(
        arms=arms,
        measured=measured,
        built=built,
        base=base,
        teacher=plan.teacher,
        student=options.student,
        images=plan.dataset.name,
        image_bytes=_image_bytes(plan.dataset.source),
        batch=measured[arms[0].name][0].images // measured[arms[0].name][0].steps,
        steps=options.steps,
        device=_device(options.device),
        machine=_machine(),
        job=job,
        project=None if options.project is None else projected(options.project, job),
    )
    write_file(out / "compare.json", [json.dumps(found.plain(), indent=1).encode() + b"\n"])
    return found, out


def _build(
    options: CompareOptions, arms: tuple[Arm, ...], out: Path, progress: Progress
) -> tuple[dict[str, Built], str, Store]:
    """The cache of the teacher, and from it those with other codecs."""
    from kdcache.build import build
    from kdcache.prepare import prepare
    from kdcache.reshape import convert

    prepared = prepare(options.build, out / "caches" / "base")
    for note in prepared.notes:
        progress.note(note)
    progress.note(f"building {prepared.out}")
    result = build(prepared, progress=progress)
    store = Store.open(prepared.out)
    base = next(stored.codec for stored in store.plan.signals if stored.signal.name == "logits")
    rows, views = store.plan.dataset.rows, store.plan.views.count
    built = {base: Built(codec=base, bytes=result.bytes, seconds=result.seconds, views=views, rows=rows)}
    for codec in dict.fromkeys(arm.codec for arm in arms if arm.codec and arm.codec != base):
        folder = cache_of(out, codec, base)
        progress.note(f"converting to {codec}: {folder}")
        convert(prepared.out, folder, codecs={"logits": codec}, progress=progress)
        size = Store.open(folder).bytes()
        built[codec] = Built(codec=codec, bytes=size, seconds=result.seconds, views=views, rows=rows)
    return built, base, store


def cache_of(out: Path, codec: str, base: str) -> Path:
    """Where the cache of a codec lies."""
    return out / "caches" / ("base" if codec == base else codec.replace(":", "-"))


def _measure(
    options: CompareOptions, arms: tuple[Arm, ...], base: str, store: Store, out: Path, progress: Progress
) -> dict[str, tuple[Measured, ...]]:
    found: dict[str, list[Measured]] = {arm.name: [] for arm in arms}
    for repeat in range(options.repeat):
        for arm in arms:
            began = time.monotonic()
            task = _task(options, arm, base, store, out, repeat)
            measured = _in_a_process(task)
            found[arm.name].append(measured)
            result = "" if measured.top1 is None else f", top-1 {measured.top1:.1%}"
            speed = f"{measured.images_per_second:,.0f} images/s{result}"
            progress.note(f"{repeat + 1} of {options.repeat}  {arm.name}: {speed} ({time.monotonic() - began:.0f} s)")
    return {name: tuple(each) for name, each in found.items()}


def _task(options: CompareOptions, arm: Arm, base: str, store: Store, out: Path, repeat: int) -> Task:
    plan = store.plan
    val = options.val or ("none" if plan.teacher.weights.random or held_out(plan.dataset.source) is None else None)
    name = arm.name.replace(":", "-").replace("=", "-")
    return Task(
        arm=arm,
        cache=str(cache_of(out, arm.codec or base, base)),
        out=str(out / "runs" / f"{name}-{repeat}"),
        student=options.student,
        recipe=options.recipe,
        settings=options.settings,
        data=options.build.data if options.build.data is not None or arm.stream != "none" else "shapes",
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


def _in_a_process(task: Task) -> Measured:
    command = [sys.executable, "-m", "students.compare.measure"]
    done = subprocess.run(command, input=json.dumps(task.plain()), capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        log = Path(task.out).with_suffix(".log")
        make_folder(log.parent)
        log.write_text(done.stderr, encoding="utf-8")
        raise KDError(
            f"{task.arm.name} failed: {said[-1] if said else done.returncode}", hint=f"all it said is in {log}"
        )
    return Measured.from_plain(json.loads(done.stdout.splitlines()[-1]))


def _choose_out(options: CompareOptions) -> Path:
    name = f"{options.build.teacher}-{options.student}".replace("/", "-").replace(":", "-")
    for number in count(1):
        out = COMPARES / (name if number == 1 else f"{name}-{number}")
        if not out.exists():
            return out
    raise AssertionError("unreachable: count() does not end")


def _image_bytes(source: dict[str, object]) -> int | None:
    """Bytes of a folder of images."""
    if source.get("kind") not in ("folder", "imagenet", "cifar10", "cifar100"):
        return None
    return sum(file.stat().st_size for file in Path(str(source["path"])).rglob("*") if file.is_file())


def _device(name: str) -> str:
    import torch

    if name.startswith("cpu") or not torch.cuda.is_available():
        return "cpu"
    return str(torch.cuda.get_device_name(0))


def _machine() -> str:
    import os
    import platform

    return f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores"


def embedded(options: BuildOptions, images: int) -> BuildOptions:
    """Without --data: a few of the embedded images, so that the comparison takes minutes."""
    return options if options.data is not None else replace(options, data=f"shapes:count={images}")
