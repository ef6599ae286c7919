"""Many trainings, one a core. Each is kept as soon as it ends, so that an experiment that was stopped goes on.

Input: what trains one arm with one seed. Output: what came of all of them, in order of seeds and arms.
"""

import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from students.compare.result.sums import Spread

RESULTS = Path(__file__).parents[2] / "docs" / "results"
CORES = len(os.sched_getaffinity(0))
MACHINE = f"{CORES} cores of {platform.machine()}, no GPU"

Found = dict[str, Any]
Train = Callable[[Path, Path, int, int], Found]
"""(folder of the experiment, folder of this training, arm, seed) -> what came of it"""


def trials(work: Path, train: Train, arms: int, seeds: tuple[int, ...]) -> Iterator[tuple[int, int, Found]]:
    """Every arm with every seed: (arm, seed, what came of it, with the seconds it took)."""
    jobs = [(arm, seed) for seed in seeds for arm in range(arms)]
    with ProcessPoolExecutor(CORES, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_once, work, train, arm, seed) for arm, seed in jobs]
        for (arm, seed), future in zip(jobs, futures, strict=True):
            yield arm, seed, future.result()


def _once(work: Path, train: Train, arm: int, seed: int) -> Found:
    """One training on one thread; one that was done before is not done again."""
    import torch

    done = work / f"{arm}-{seed}.json"
    if not done.is_file():
        torch.set_num_threads(1)
        began, out = time.monotonic(), work / f"{arm}-{seed}"
        shutil.rmtree(out, ignore_errors=True)
        found = train(work, out, arm, seed)
        shutil.rmtree(out, ignore_errors=True)
        done.write_text(json.dumps({**found, "seconds": round(time.monotonic() - began, 1)}), encoding="utf-8")
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
