"""What soft labels are worth with little data: the same student, steps, images and views, and ten things to learn from.

    make experiment-soft-labels        # writes docs/results/soft-labels.md and .json

Arms differ in the targets alone. Every arm runs with the same seeds; a seed fixes initial weights, order and noise.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from students.options import MachineOptions, StreamMode, TrainOptions
from tests.experiments.trials import MACHINE, Found, difference, interval, keep, table, trials

IMAGES, VIEWS = 2000, 8
STEPS, BATCH, SIZE = 1600, 32, 32
SEEDS = (0, 1, 2)
HELD_OUT = 10_000
"""images it is judged on: with the usual 2,000 the noise of judging is as large as that of the seeds"""
CROPS = ("crop.scale=[0.5, 1.0]", "randaugment=null", "erase=null")
"""milder than the default recipe, which may cut the one thing out that gives an image its class"""
TRAINING = ("precision=float32", "optimiser.rate=3e-3")
"""at 32 pixels a CPU is quicker in float32; the rate is for the recipe's batch of 128 and scaled to this one"""


@dataclass(frozen=True)
class Arm:
    """One thing to learn from."""

    name: str
    cache: str = "k100"
    stream: StreamMode = "off"
    settings: tuple[str, ...] = ()


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
    from kdcache.base.progress import Silent
    from kdcache.build.options import BuildOptions
    from kdcache.build.prepare import prepare
    from kdcache.build.run import build
    from kdcache.reshape.convert import convert

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


def train(work: Path, out: Path, arm: int, seed: int) -> Found:
    """Top-1 of one training."""
    from kdcache.base.progress import Silent
    from students.train.start import start

    asked = ARMS[arm]
    options = TrainOptions(
        student="tinyvit-5m",
        recipe="demo",
        settings=(*TRAINING, *asked.settings),
        cache=work / asked.cache,
        stream=asked.stream,
        val=f"shapes:split=val,count={HELD_OUT}",
        size=SIZE,
        out=out,
        seed=seed,
        steps=STEPS,
        batch=BATCH,
        validate_every=STEPS,
    )
    outcome = start(options, MachineOptions(device="cpu", workers=0), Silent()).outcome
    (line,) = outcome.validation
    return {"top1": line["top1"]}


def summary(found: list[list[float]]) -> str:
    """Mean and 95 % interval of every arm, and its difference to hard labels."""
    lines = [
        [arm.name, interval(top1), "" if arm is ARMS[0] else difference(top1, found[0])]
        for arm, top1 in zip(ARMS, found, strict=True)
    ]
    return table(["trained on", "top-1, %", "against hard labels"], lines)


TEXT = """# Soft labels with few training images

`make experiment-soft-labels`: {runs} trainings, one per core on {machine}; {hours:.1f} core hours.

tinyvit-5m at {size} pixels, {images:,} training images in {views} views (crops of half to all of the area, flips),
{steps} steps of {batch} images in every arm, judged on {held_out:,} held-out images. The teacher is florence-nano
(top-1 {teacher} on 2,000 of them, at 64 pixels). {seeds} seeds: mean ± 95 % interval (Student's t);
differences are computed for each seed.

{table}

All runs: [soft-labels.json](soft-labels.json).
"""


def main(work: Path) -> None:
    """Build, train, write down."""
    if not (work / "k1").is_dir():
        build_caches(work)
    found: list[list[float]] = [[] for _ in ARMS]
    every = []
    for arm, seed, result in trials(work, train, len(ARMS), SEEDS):
        found[arm].append(result["top1"])
        every.append({"learns_from": ARMS[arm].name, "seed": seed, **result})
        print(f"seed {seed}  {100 * result['top1']:5.1f} %  {result['seconds']:5.0f} s  {ARMS[arm].name}", flush=True)
    text = TEXT.format(
        machine=MACHINE, runs=len(every), held_out=HELD_OUT, hours=sum(run["seconds"] for run in every) / 3600,
        size=SIZE, images=IMAGES, views=VIEWS, steps=STEPS, batch=BATCH, teacher=_teacher(), seeds=len(SEEDS),
        table=summary(found),
    )  # fmt: skip
    keep("soft-labels", text, every)
    print(text)


def _teacher() -> str:
    """How often it is right."""
    from safetensors import safe_open

    from kdcache.teachers.families.florence import FAMILY

    with safe_open(FAMILY.in_package("nano").weights(), "pt") as file:
        return f"{100 * float(file.metadata()['accuracy']):.1f} %"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
