"""What to learn from where pictures are real and few: true classes, soft labels, or a mix, and from how many views.

    make experiment-real-images        # writes docs/results/real-images.md, and one file a run in docs/results/real-images/

Train on the emoji of one vendor, judge on those of another (tests/experiments/emoji.py). The teacher is a student trained here at
more pixels and for longer. Arms have the same steps; a seed fixes initial weights, order and noise. Runs whose file is there are
not repeated, so that the experiment goes on after a stop, and on another machine.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from kdcache.errors import KDError
from students.options import MachineOptions, StreamMode, TrainOptions
from students.runs.run import Run
from tests.experiments.trials import MACHINE, RESULTS, Found, difference, interval, table, trials

NAME = "real-images"
STUDENT = "tinyvit-5m"
STEPS, BATCH, SIZE, VIEWS = 300, 64, 32, 8
TEACHER_STEPS, TEACHER_SIZE, THREADS = 600, 64, 2
"""the number of threads decides on the last bits of a sum, so it is the same on every machine"""
SEEDS = (0, 1, 2)
SAME: Found = {"student": STUDENT, "size": SIZE, "steps": STEPS, "batch": BATCH}
"""what must not differ between runs; so must the teacher"""
TEACHER = "teacher.json"
TRAINING = (
    f"batch={BATCH}",
    "precision=float32",
    "optimiser.rate=1.5e-3",
    "optimiser.decay=0.05",
    "optimiser.clip=5.0",
    "optimiser.warmup=1",
    "optimiser.last_rate=1e-5",
    "average=0.999",
    "views=augment",
)
"""everything that counts, so that a change of the recipe `own` does not change this experiment"""


@dataclass(frozen=True)
class Arm:
    """One thing to learn from."""

    soft: float
    hard: float
    temperature: float = 1.0
    views: int = VIEWS
    stream: StreamMode = "off"

    @property
    def file(self) -> str:
        """Name of its result files, without seed."""
        views = "new" if self.stream == "none" else str(self.views)
        return f"soft{self.soft:g}-hard{self.hard:g}-t{self.temperature:g}-views{views}"

    @property
    def cells(self) -> list[str]:
        """Columns of the table."""
        views = "new in every epoch, no cache" if self.stream == "none" else str(self.views)
        return [f"{self.soft:g}", f"{self.hard:g}", f"{self.temperature:g}" if self.soft else "", views]

    @property
    def settings(self) -> tuple[str, ...]:
        """Settings of the recipe."""
        parts = {"soft": self.soft, "hard": self.hard, "temperature": self.temperature, "tail": "uniform"}
        return (*TRAINING, *(f"objective.{key}={value}" for key, value in parts.items()))


ARMS = (
    Arm(0, 1),
    Arm(1, 0),
    Arm(0.7, 0.3, 2),
    Arm(0, 1, stream="none"),
    Arm(1, 0, 2),
    Arm(0.7, 0.3),
    Arm(0.7, 0.3, 4),
    Arm(0.5, 0.5, 2),
    Arm(0.9, 0.1, 2),
    Arm(0.7, 0.3, 2, views=1),
    Arm(0.7, 0.3, 2, views=4),
    Arm(1, 0, 4),
    Arm(0.3, 0.7, 2),
    Arm(0, 1, views=1),
)


def trained_teacher(work: Path, pictures: Path) -> Run:
    """The teacher: trained, resumed, or as it is."""
    from kdcache.base.progress import Silent
    from students.train.start import go_on, start

    train, val, out = str(pictures / "train"), str(pictures / "val"), work / "teacher"
    if (out / "run.json").is_file():
        return go_on(out, MachineOptions(device="cpu", workers=0, data=train, val=(val,)), Silent()).run
    options = TrainOptions(
        student=STUDENT,
        recipe="own",
        settings=Arm(0, 1).settings,
        stream="none",
        val=val,
        size=TEACHER_SIZE,
        out=out,
        steps=TEACHER_STEPS,
        validate_every=TEACHER_STEPS,
        keep_every=25,
    )
    return start(options, MachineOptions(device="cpu", workers=0, data=train), Silent()).run


def build_cache(teacher: Run, work: Path, pictures: Path) -> Path:
    """Its logits for all views."""
    from kdcache.base.progress import Silent
    from kdcache.build.options import BuildOptions
    from kdcache.build.prepare import prepare
    from kdcache.build.run import build

    images = str(pictures / "train")
    options = BuildOptions(
        f"run:{teacher.path}", data=images, signals=("logits",), views=VIEWS, recipe="augment", workers=0
    )
    build(prepare(options, work / "cache"), progress=Silent())
    return work / "cache"


def prepare(work: Path, pictures: Path, kept: Path) -> None:
    """Teacher and cache, and the file that says how good they are."""
    import torch

    from kdcache.base.atomic import make_folder, write_file
    from kdcache.base.digest import file_sha256

    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    run = trained_teacher(work, pictures)
    torch.set_num_threads(threads)
    (line,) = [line for line in run.metrics() if line["kind"] == "val"]
    cached = right(build_cache(run, work, pictures))
    found = {"teacher": file_sha256(run.weights), "top1": line["top1"], "cached": cached}
    make_folder(kept)
    write_file(kept / TEACHER, [json.dumps(found).encode() + b"\n"])
    setup = {"pictures": str(pictures.resolve()), "same": {**SAME, "teacher": found["teacher"]}}
    write_file(work / "setup.json", [json.dumps(setup).encode()])


def right(path: Path) -> float:
    """How often the teacher names the class of a view that it was shown in the cache."""
    from kdcache import Cache

    cache = Cache.open(path)
    assert cache.labels is not None
    count = 0
    for row, image in enumerate(cache):
        for view in range(cache.views):
            logits = cache.get(image, view=view)["logits"]
            count += int(logits.probabilities().argmax() == cache.labels[row])
    return count / (len(cache) * cache.views)


def train(work: Path, out: Path, arm: int, seed: int) -> Found:
    """Top-1 of one training, and what must not differ between runs."""
    from kdcache.base.progress import Silent
    from students.train.start import start

    asked, setup = ARMS[arm], json.loads((work / "setup.json").read_text("utf-8"))
    pictures = Path(setup["pictures"])
    cached = asked.stream == "off"
    options = TrainOptions(
        student=STUDENT,
        recipe="own",
        settings=asked.settings,
        cache=work / "cache" if cached else None,
        stream=asked.stream,
        views=tuple(range(asked.views)) if cached else None,
        val=str(pictures / "val"),
        size=SIZE,
        out=out,
        seed=seed,
        steps=STEPS,
        validate_every=STEPS,
    )
    where = MachineOptions(device="cpu", workers=0, data=None if cached else str(pictures / "train"))
    (line,) = start(options, where, Silent()).outcome.validation
    return {"top1": line["top1"], **setup["same"]}


def earlier(kept: Path) -> dict[tuple[int, int], Found]:
    """Runs that were made before, by arm and seed. UsageError if one was made with other numbers, or with another teacher."""
    from kdcache.errors import UsageError

    hint = f"delete {kept} to start again, or go on from the commit that measured it"
    known, teachers = dict[tuple[int, int], Found](), set[str]()
    for arm, seed in ((arm, seed) for seed in SEEDS for arm in range(len(ARMS))):
        path = kept / f"{ARMS[arm].file}-{seed}.json"
        if path.is_file():
            found = known[arm, seed] = json.loads(path.read_text("utf-8"))
            teachers.add(found["teacher"])
            if other := [f"{key} {found[key]}, now {now}" for key, now in SAME.items() if found[key] != now]:
                raise UsageError(f"{path} was measured with {', '.join(other)}", hint=hint)
    taught = json.loads((kept / TEACHER).read_text("utf-8"))["teacher"] if (kept / TEACHER).is_file() else None
    if taught is not None and teachers - {taught}:
        raise UsageError(f"some runs in {kept} learnt from another teacher than {taught}", hint=hint)
    return known


def summary(known: dict[tuple[int, int], Found]) -> str:
    """Mean and 95 % interval of every arm, and its difference to true classes, seed by seed."""
    lines = []
    for arm, its in enumerate(ARMS):
        seeds = [seed for seed in SEEDS if (arm, seed) in known]
        both = [seed for seed in seeds if (0, seed) in known]
        if seeds:
            top1 = {seed: known[arm, seed]["top1"] for seed in seeds}
            gain = (
                difference([top1[seed] for seed in both], [known[0, seed]["top1"] for seed in both])
                if arm and both
                else ""
            )
            lines.append([*its.cells, str(len(seeds)), interval(list(top1.values())), gain])
    return table(["soft", "hard", "temperature", "views", "seeds", "top-1, %", "against the first"], lines)


TEXT = """# True classes, soft labels or a mix, on real pictures

`make experiment-real-images`: {runs} of {all} trainings, one per core on {machine}; {hours:.1f} core hours.

Emoji as pictures of 64 pixels in 9 classes: 1,906 by one vendor (Google) to train on, the same 1,906 emoji by another (Twitter)
to be judged on. {student} at {size} pixels, {steps} steps of {batch} images in every arm. The teacher is the same network at
{teacher_size} pixels, trained for {teacher_steps} steps of {batch} on the true classes: {top1:.1f} % of the other vendor's
pictures, and {cached:.1f} % of the views in the cache. `soft` and `hard` are the weights of the two losses; views are those of
`augment`. With several seeds: mean ± 95 % interval (Student's t); differences are computed for each seed.

{table}

A run has a file in [real-images](real-images).
"""


def write(known: dict[tuple[int, int], Found], folder: Path) -> None:
    """The page of what is known so far."""
    teacher = json.loads((folder / NAME / TEACHER).read_text("utf-8"))
    text = TEXT.format(
        runs=len(known), all=len(ARMS) * len(SEEDS), machine=MACHINE, hours=sum(run["seconds"] for run in known.values()) / 3600,
        student=STUDENT, size=SIZE, steps=STEPS, batch=BATCH, teacher_size=TEACHER_SIZE, teacher_steps=TEACHER_STEPS,
        top1=100 * teacher["top1"], cached=100 * teacher["cached"], table=summary(known),
    )  # fmt: skip
    (folder / f"{NAME}.md").write_text(text, encoding="utf-8")


def main(work: Path, pictures: Path, folder: Path = RESULTS) -> None:
    """Train the teacher, build the cache, train the students; write down after each."""
    kept = folder / NAME
    known = earlier(kept)
    if len(known) < len(ARMS) * len(SEEDS):
        prepare(work, pictures, kept)
        earlier(kept)
    for arm, seed, found in trials(work, train, [arm.file for arm in ARMS], SEEDS, kept):
        known[arm, seed] = found
        write(known, folder)
        print(f"seed {seed}  {100 * found['top1']:5.1f} %  {found['seconds']:5.0f} s  {ARMS[arm].file}", flush=True)
    print((folder / f"{NAME}.md").read_text("utf-8"))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except KDError as error:
        sys.exit(f"error: {error.message}\nhint: {error.hint}")
