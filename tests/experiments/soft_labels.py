"""What soft labels are worth with little data: the same student, steps, images and views, and ten things to learn from.

    make experiment-soft-labels        # writes docs/results/soft-labels.md and .json

Arms differ in the targets alone. Every arm runs with the same seeds; a seed fixes initial weights, order and noise.
"""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

RESULTS = Path(__file__).parents[2] / "docs" / "results"
IMAGES, VIEWS = 2000, 8
STEPS, BATCH, SIZE = 1600, 32, 32
SEEDS = (0, 1, 2)
HELD_OUT = 10_000
"""images it is judged on: with the usual 2,000 the noise of judging is as large as that of the seeds"""
CROPS = ("crop.scale=[0.5, 1.0]", "randaugment=null", "erase=null")
"""milder than the default recipe, which may cut the one thing out that gives an image its class"""
TRAINING = ("precision=float32", "optimiser.rate=3e-3")
"""at 32 pixels a CPU is quicker in float32; the rate is for the recipe's batch of 128 and scaled to this one"""
T95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}
"""Student's t for a 95 % interval of the mean of so many runs"""


@dataclass(frozen=True)
class Arm:
    """One thing to learn from."""

    name: str
    cache: str = "k100"
    stream: str = "off"
    settings: tuple[str, ...] = field(default=())


def objective(soft: float, hard: float, tail: str = "uniform") -> tuple[str, ...]:
    """Settings of the recipe."""
    return f"objective.soft={soft}", f"objective.hard={hard}", f"objective.tail={tail}"


ARMS = (
    Arm("hard labels", settings=objective(0, 1)),
    Arm("soft labels from the cache, k = 100 (all)", settings=objective(1, 0)),
    Arm("soft labels and ground truth", settings=objective(1, 1)),
    Arm("soft labels, teacher connected", stream="on", settings=objective(1, 0)),
    Arm("k = 10, uniform tail", cache="k10", settings=objective(1, 0)),
    Arm("k = 5, uniform tail", cache="k5", settings=objective(1, 0)),
    Arm("k = 1, uniform tail", cache="k1", settings=objective(1, 0)),
    Arm("k = 1, bucket", cache="k1", settings=objective(1, 0, "bucket")),
    Arm("k = 1, renormalise", cache="k1", settings=objective(1, 0, "renormalise")),
    Arm("k = 1, none", cache="k1", settings=objective(1, 0, "none")),
)


def build_caches(work: Path) -> None:
    """One cache of all 100 logits, and smaller ones made from it."""
    from kdcache.build import build
    from kdcache.options import BuildOptions
    from kdcache.prepare import prepare
    from kdcache.progress import Silent
    from kdcache.reshape import convert

    options = BuildOptions(
        teacher="florence",
        data=f"shapes:count={IMAGES}",
        views=VIEWS,
        recipe="augment",
        overrides=CROPS,
        codecs={"logits": "topk:100"},
    )
    build(prepare(options, work / "k100"), progress=Silent())
    for k in (10, 5, 1):
        convert(work / "k100", work / f"k{k}", codecs={"logits": f"topk:{k}"}, progress=Silent())


def run(work: Path, arm: Arm, seed: int) -> tuple[str, int, float, float]:
    """(arm, seed, top-1, seconds) of one training; one that was done before is not done again."""
    done = work / f"{ARMS.index(arm)}-{seed}.json"
    if not done.is_file():
        done.write_text(json.dumps(_trained(work, arm, seed)), encoding="utf-8")
    name, number, top1, seconds = json.loads(done.read_text("utf-8"))
    return name, number, top1, seconds


def _trained(work: Path, arm: Arm, seed: int) -> tuple[str, int, float, float]:
    import shutil

    import torch

    from kdcache.progress import Silent
    from students.options import TrainOptions, Where
    from students.start import start

    torch.set_num_threads(1)
    began = time.monotonic()
    out = work / f"{ARMS.index(arm)}-{seed}"
    shutil.rmtree(out, ignore_errors=True)
    options = TrainOptions(
        student="tinyvit-5m",
        recipe="demo",
        settings=(*TRAINING, *arm.settings),
        cache=work / arm.cache,
        stream=arm.stream,  # type: ignore[arg-type]
        val=f"shapes:split=val,count={HELD_OUT}",
        size=SIZE,
        out=out,
        seed=seed,
        steps=STEPS,
        batch=BATCH,
        validate_every=STEPS,
    )
    outcome = start(options, Where(device="cpu", workers=0), Silent()).outcome
    assert outcome.validation is not None
    return arm.name, seed, outcome.validation["top1"], time.monotonic() - began


def runs(work: Path) -> Iterator[tuple[str, int, float, float]]:
    """All of them, one a core."""
    jobs = [(arm, seed) for seed in SEEDS for arm in ARMS]
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        for future in [pool.submit(run, work, arm, seed) for arm, seed in jobs]:
            yield future.result()


def table(found: dict[str, list[float]]) -> str:
    """Mean and 95 % interval of every arm, and its difference to hard labels, seed by seed."""
    lines = ["| learns from | top-1, % | against hard labels |", "| --- | --- | --- |"]
    base = found[ARMS[0].name]
    for arm in ARMS:
        top1 = found[arm.name]
        apart = [one - other for one, other in zip(top1, base, strict=True)]
        against = f"{interval(apart, '+')}" if arm is not ARMS[0] else ""
        lines.append(f"| {arm.name} | {interval(top1)} | {against} |")
    return "\n".join(lines)


def interval(values: list[float], sign: str = "") -> str:
    """Mean ± half the 95 % interval, in per cent."""
    half = T95[len(values)] * statistics.stdev(values) / len(values) ** 0.5
    return f"{100 * statistics.mean(values):{sign}.1f} ± {100 * half:.1f}"


TEXT = """# What soft labels are worth with little data

`make experiment-soft-labels`: {runs} trainings, one a core on {cores} busy cores of {machine}, no GPU; {minutes:.0f} minutes.

tinyvit-5m at {size} pixels, {images:,} training images in {views} views (crops of half to all of the area, flips),
{steps} steps of {batch} images for every arm; judged on {held_out:,} held-out images. The teacher is florence-nano
({teacher} of 2,000 of them, at 64 pixels). {seeds} seeds: mean ± 95 % interval (Student's t); differences are taken seed by seed.

{table}

Every run: [soft-labels.json](soft-labels.json).
"""


def main(work: Path) -> None:
    """Build, train, write down."""
    if not (work / "k1").is_dir():
        build_caches(work)
    found: dict[str, list[float]] = {arm.name: [] for arm in ARMS}
    every = []
    for name, seed, top1, seconds in runs(work):
        found[name].append(top1)
        every.append({"learns_from": name, "seed": seed, "top1": top1, "seconds": round(seconds, 1)})
        print(f"seed {seed}  {100 * top1:5.1f} %  {seconds:5.0f} s  {name}", flush=True)  # noqa: T201
    from safetensors import safe_open

    from kdcache.teachers.nano import nano_weights

    with safe_open(nano_weights("florence"), "pt") as file:
        teacher = f"{100 * float(file.metadata()['accuracy']):.1f} %"
    text = TEXT.format(
        cores=len(os.sched_getaffinity(0)),
        machine=platform.machine(),
        runs=len(every),
        held_out=HELD_OUT,
        minutes=sum(run["seconds"] for run in every) / 60 / len(os.sched_getaffinity(0)),
        size=SIZE,
        images=IMAGES,
        views=VIEWS,
        steps=STEPS,
        batch=BATCH,
        teacher=teacher,
        seeds=len(SEEDS),
        table=table(found),
    )
    (RESULTS / "soft-labels.md").write_text(text, encoding="utf-8")
    (RESULTS / "soft-labels.json").write_text(json.dumps(every, indent=1) + "\n", encoding="utf-8")
    print(text)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
