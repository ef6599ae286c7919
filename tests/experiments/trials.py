"""Many trainings, one a core. Each is kept as soon as it ends, so that an experiment that was stopped goes on.

Input: what trains one arm with one seed. Output: what came of all of them, in order of seeds and arms.
"""

import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from kdcache.base.atomic import write_file
from students.compare.result.sums import Spread

RESULTS = Path(__file__).parents[2] / "docs" / "results"
CORES = len(os.sched_getaffinity(0))
MACHINE = f"{CORES} cores of {platform.machine()}, no GPU"

Found = dict[str, Any]
Train = Callable[[Path, Path, int, int], Found]
"""(folder of the experiment, folder of this training, arm, seed) -> what came of it"""


def trials(
    work: Path, train: Train, arms: int | Sequence[str], seeds: tuple[int, ...], results: Path | None = None
) -> Iterator[tuple[int, int, Found]]:
    """Every arm with every seed: (arm, seed, what came of it, with the seconds it took).

    `arms`: how many, or their names. `results`: the folder with a file ARM-SEED.json a run; None: `work`.
    """
    names = [str(arm) for arm in range(arms)] if isinstance(arms, int) else list(arms)
    jobs = [(arm, seed) for seed in seeds for arm in range(len(names))]
    with ProcessPoolExecutor(CORES, mp_context=get_context("spawn")) as pool:
        futures = [
            pool.submit(_once, work, train, arm, seed, (results or work) / f"{names[arm]}-{seed}.json")
            for arm, seed in jobs
        ]
        for (arm, seed), future in zip(jobs, futures, strict=True):
            yield arm, seed, future.result()


def _once(work: Path, train: Train, arm: int, seed: int, done: Path) -> Found:
    """One training on one thread; one that was done before, so that its file `done` is there, is not done again."""
    import torch

    if not done.is_file():
        torch.set_num_threads(1)
        began, out = time.monotonic(), work / f"{arm}-{seed}"
        shutil.rmtree(out, ignore_errors=True)
        found = train(work, out, arm, seed)
        shutil.rmtree(out, ignore_errors=True)
        done.parent.mkdir(parents=True, exist_ok=True)
        found["seconds"] = round(time.monotonic() - began, 1)
        write_file(done, [json.dumps(found).encode() + b"\n"])
    result: Found = json.loads(done.read_text("utf-8"))
    return result


def interval(values: list[float], sign: str = "") -> str:
    """Mean ± half the 95 % interval, in per cent."""
    spread = Spread.of(values)
    reach = "" if spread.half is None else f" ± {100 * spread.half:.1f}"
    return f"{100 * spread.mean:{sign}z.1f}{reach}"


def difference(ours: list[float], theirs: list[float]) -> str:
    """The difference, seed by seed."""
    return interval([one - other for one, other in zip(ours, theirs, strict=True)], "+")


def table(head: list[str], lines: list[list[str]]) -> str:
    """In Markdown."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def keep(name: str, text: str, every: list[Found]) -> None:
    """Write docs/results/NAME.md, and NAME.json with every run."""
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    (RESULTS / f"{name}.json").write_text(json.dumps(every, indent=1) + "\n", encoding="utf-8")
