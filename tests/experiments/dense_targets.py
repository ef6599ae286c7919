"""How dense targets may be stored: retrieval of the same student, learning from them in four forms, and from the teacher itself.

    make experiment-dense-targets        # writes docs/results/dense-targets.md and .json

Arms differ in the targets alone. A seed fixes the blocks a student begins with and the order of images; before the first step it
is judged too ("random blocks"), and so is the teacher, whose encoder all of them share.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcache.signals.teacher import TeacherSpec
from students.options import MachineOptions, StreamMode, TrainOptions
from students.runs.run import Run
from tests.experiments.trials import MACHINE, Found, difference, interval, keep, table, trials

IMAGES = 10_000
STEPS, BATCH, EVERY = 1000, 64, 250
SEEDS = (0, 1, 2)
MARKS = ("top1", "top3", "inverse_top1", "inverse_top3")


@dataclass(frozen=True)
class Arm:
    """One thing to learn from."""

    name: str
    cache: str
    stream: StreamMode = "off"
    settings: tuple[str, ...] = ()


ARMS = (
    Arm("targets, float32", "float32"),
    Arm("targets, float16", "float16"),
    Arm("targets, int8", "int8"),
    Arm("cls-layers, float32", "float32", settings=("objective.signal=cls-layers",)),
    Arm("teacher connected", "float32", "on"),
)


def build_caches(work: Path) -> None:
    """One cache of all there is to learn from, and two with coarser targets made from it."""
    from kdcache.base.progress import Silent
    from kdcache.build.options import BuildOptions
    from kdcache.build.prepare import prepare
    from kdcache.build.run import build
    from kdcache.reshape.convert import convert

    signals = ("inputs", "targets", "cls-layers")
    options = BuildOptions(
        "data2vec", data=f"shapes:count={IMAGES}", signals=signals, codecs=dict.fromkeys(signals, "float32")
    )
    build(prepare(options, work / "float32"), progress=Silent())
    for codec in ("float16", "int8"):
        convert(work / "float32", work / codec, codecs={"targets": codec}, signals=signals[:2], progress=Silent())


def train(work: Path, out: Path, arm: int, seed: int) -> Found:
    """One training: what it found at each judgement."""
    from kdcache.base.progress import Silent
    from students.train.start import start

    asked = ARMS[arm]
    options = TrainOptions(
        student="data2vec-nano",
        settings=asked.settings,
        cache=work / asked.cache,
        stream=asked.stream,
        out=out,
        seed=seed,
        steps=STEPS,
        batch=BATCH,
        validate_every=EVERY,
    )
    where = MachineOptions(device="cpu", workers=0)
    run = start(options, where, Silent()).run
    lines = run.metrics()
    curve = [{key: line[key] for key in ("step", *MARKS)} for line in lines if line["kind"] == "val"]
    loss = [line["loss"] for line in lines if line["kind"] == "train"][-1]
    return {"curve": curve, "loss": loss, **_judged(run, where, beside=arm == 0)}


def _judged(run: Run, where: MachineOptions, *, beside: bool) -> Found:
    """Which training image is nearest to each that is held out, for the student at its end. `beside`: what it was before
    its first step, and what the teacher and its targets are, judged on the same images.
    """
    from safetensors.torch import load_file

    from kdcache.base.progress import Silent
    from students.base.machine import joined
    from students.judging.embeddings import look
    from students.judging.judged import JudgedStudent
    from students.judging.neighbours import nearest
    from students.judging.while_training import Validation
    from students.plan.opened import inputs_again
    from students.runs.kept import checkpoints
    from students.train.job import make_job

    with joined("cpu") as world:
        job = make_job(run.record, inputs_again(run.record, where, world), where, world, Silent())
        assert job.judge is not None
        assert run.record.cache is not None
        with job.judge() as judge:
            assert isinstance(judge, Validation)
            teacher = run.record.cache.teacher
            asked = (
                {"begun": job.network, "teacher": _teacher(teacher), "targets": _teacher(teacher, targets=True)}
                if beside
                else {}
            )
            marks = {name: judge.judge(network, "cpu", "float32", Silent()).lines[0] for name, network in asked.items()}
            job.network.load_state_dict(load_file(checkpoints(run.path)[-1] / "model.safetensors"))
            (validation,) = judge.sets
            student = JudgedStudent(job.network, run.record.student, "cpu", "float32", run.record.pacing.micro)
            seen = look(student, validation.examples, validation.settings.bank, Silent())
    found = nearest(seen.queries, seen.bank, 1)[1]
    return {
        "nearest": found[:, 0].tolist(),
        **{name: {key: numbers[key] for key in MARKS} for name, numbers in marks.items()},
    }


def _teacher(spec: TeacherSpec, *, targets: bool = False) -> Any:
    """The teacher's network, which embeds an image as its students do: by the mean of its final tokens, or of its targets."""
    from torch import Tensor, nn

    from kdcache.networks import data2vec as data2vec_net
    from kdcache.teachers.reopen import reopen_network

    class Teacher(nn.Module):
        def __init__(self, network: data2vec_net.Data2Vec) -> None:
            super().__init__()
            self.network = network

        def embed(self, pixels: Tensor) -> Tensor:
            _, layers, final = self.network(pixels)
            tokens = data2vec_net.targets(layers, self.network.shape.targets) if targets else final.float()
            return tokens.mean(1)

    network = reopen_network(spec)
    assert isinstance(network, data2vec_net.Data2Vec)
    return Teacher(network)


def bytes_an_image(path: Path, signal: str) -> float:
    """Of what is matched, as it is stored."""
    from kdcache.store import Store

    return next(stored.bytes_per_row for stored in Store.open(path).plan.signals if stored.signal.name == signal)


def summary(work: Path, found: list[list[Found]]) -> tuple[str, str]:
    """The table of the ends, and that of the way there."""
    heads = [
        "",
        "bytes an image",
        "top-1",
        "top-3",
        "back: top-1",
        "back: top-3",
        "mean of the four",
        "against random blocks",
        "against float32",
        "last loss",
        "another nearest",
    ]
    base = [_mean(run["curve"][-1]) for run in found[0]]
    begun = [run["begun"] for run in found[0]]
    lines = [["random blocks", "–", *_marks(begun), "", "", "", ""]]
    for arm, runs in zip(ARMS, found, strict=True):
        signal = "cls-layers" if arm.settings else "targets"
        stored = "–" if arm.stream == "on" else f"{bytes_an_image(work / arm.cache, signal):,.0f}"
        ends = [run["curve"][-1] for run in runs]
        means = [_mean(end) for end in ends]
        gained = difference(means, [_mean(marks) for marks in begun])
        against = "" if arm is ARMS[0] else difference(means, base)
        loss = f"{sum(run['loss'] for run in runs) / len(runs):.5f}"
        moved = "" if arm is ARMS[0] else interval([_others(*pair) for pair in zip(runs, found[0], strict=True)])
        lines.append([arm.name, stored, *_marks(ends), gained, against, loss, moved])
    lines.append(["the teacher's targets", "–", *_marks([found[0][0]["targets"]]), "", "", "", ""])
    lines.append(["the teacher", "–", *_marks([found[0][0]["teacher"]]), "", "", "", ""])
    steps = [0, *(mark["step"] for mark in found[0][0]["curve"])]
    ways = []
    for arm, runs in zip(ARMS, found, strict=True):
        each = [[first, *run["curve"]] for first, run in zip(begun, runs, strict=True)]
        ways.append([arm.name, *(interval([_mean(run[n]) for run in each]) for n in range(len(steps)))])
    return table(heads, lines), table(["mean of the four after", *(f"{step:,} steps" for step in steps)], ways)


def _others(run: Found, base: Found) -> float:
    """The share of held-out images whose nearest training image is another one."""
    pairs = list(zip(run["nearest"], base["nearest"], strict=True))
    return sum(one != other for one, other in pairs) / len(pairs)


def _mean(marks: dict[str, float]) -> float:
    return sum(marks[key] for key in MARKS) / len(MARKS)


def _marks(each: list[dict[str, float]]) -> list[str]:
    return [*(interval([marks[key] for marks in each]) for key in MARKS), interval([_mean(marks) for marks in each])]


TEXT = """# Storing dense targets in fewer bits

`make experiment-dense-targets`: {runs} trainings, one per core on {machine}; {hours:.1f} core hours.

data2vec-nano (three blocks on the frozen encoder of the teacher of the same name), {images:,} training images, {steps:,} steps of
{batch} images from cached inputs (float32). The students are judged by retrieval: the fraction of 2,000 held-out images whose
nearest of 2,000 training images has the same class (top-1), or for which one of the nearest three has it (top-3), and the
same with training images and held-out images exchanged (back). Chance is 1 %.
{seeds} seeds: mean ± 95 % interval (Student's t), in per cent; differences are computed for each seed.

{ends}

Targets are normalised per channel over the tokens of an image, as in data2vec 2.0, which removes most of their mean; but
retrieval compares images by the mean of their tokens. The row "the teacher's targets" judges the mean of the targets themselves,
which shows how much of it they still contain. `cls-layers` contain nothing about the other tokens.

The last two columns show whether students with equal scores are also equal: the mean loss of the last steps, and the percentage
of held-out images whose nearest training image differs from that of the student of float32 targets with the same seed.

{ways}

All runs: [dense-targets.json](dense-targets.json).
"""


def main(work: Path) -> None:
    """Build, train, write down."""
    if not (work / "int8").is_dir():
        build_caches(work)
    found: list[list[Found]] = [[] for _ in ARMS]
    every = []
    for arm, seed, result in trials(work, train, len(ARMS), SEEDS):
        found[arm].append(result)
        every.append(
            {"learns_from": ARMS[arm].name, "seed": seed, **{k: v for k, v in result.items() if k != "nearest"}}
        )
        mean = 100 * _mean(result["curve"][-1])
        print(f"seed {seed}  {mean:5.1f} %  {result['seconds']:5.0f} s  {ARMS[arm].name}", flush=True)
    ends, ways = summary(work, found)
    hours = sum(run["seconds"] for run in every) / 3600
    text = TEXT.format(
        runs=len(every), machine=MACHINE, hours=hours, images=IMAGES, steps=STEPS, batch=BATCH, seeds=len(SEEDS),
        ends=ends, ways=ways,
    )  # fmt: skip
    keep("dense-targets", text, every)
    print(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
