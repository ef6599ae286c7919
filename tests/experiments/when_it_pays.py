"""When a cache pays: seconds of the same steps with a connected teacher and from a cache, for cheap and for costly teachers.

    make experiment-when-it-pays       # writes docs/results/when-it-pays.json and .svg, and the figures of docs/when-it-pays.md

Every case is a `kd compare on-stream off-stream` on a few images of `shapes`; what it measured is kept in one small file, so that
an experiment that was stopped goes on. On a busy machine the figures mean nothing: it needs one with nothing else to do.
"""

import argparse
import json
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.experiments.trials import MACHINE, RESULTS, Found

WAYS = ("on-stream", "off-stream")
NAME = "when-it-pays"
BUSY = 0.5
"""Load of the machine, in processes, above which it is warned that something else is running."""


@dataclass(frozen=True)
class Case:
    """One teacher and one student."""

    name: str
    teacher: str
    sees: int
    """Side length of what the teacher sees, in pixels."""
    pixels: int
    """Side length of what the student sees."""
    images: int
    batch: int
    steps: int
    student: str = "tinyvit-5m"

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments of `compare_streams` that choose the teacher."""
        if self.teacher == "florence":
            return {"teacher": "florence", "size": "nano"}
        return {"teacher": self.teacher, "weights": "random", "input_size": self.sees}


CASES = (
    Case("nano-128", "florence", 64, pixels=128, images=2000, batch=32, steps=12),
    Case("nano-64", "florence", 64, pixels=64, images=2000, batch=64, steps=16),
    Case("nano-32", "florence", 64, pixels=32, images=2000, batch=64, steps=24),
    Case("resnet18-128", "timm:resnet18", 128, pixels=32, images=512, batch=64, steps=12),
    Case("resnet18-224", "timm:resnet18", 224, pixels=64, images=256, batch=32, steps=8),
    Case("vit-small-224", "timm:vit_small_patch16_224", 224, pixels=64, images=128, batch=32, steps=6),
    Case("resnet50-224", "timm:resnet50", 224, pixels=32, images=128, batch=32, steps=6),
    Case("davit-224", "timm:davit_base_fl", 224, pixels=64, images=64, batch=16, steps=5),
    Case("davit-384", "timm:davit_base_fl", 384, pixels=64, images=32, batch=8, steps=4),
    Case("davit-512", "timm:davit_base_fl", 512, pixels=64, images=32, batch=8, steps=3),
)
"""In the order of what the teacher adds to a step, about 0.1 to 150 of them on two cores."""
REPEAT = 3
QUICK = (
    Case("nano-32", "florence", 64, pixels=32, images=16, batch=4, steps=2),
    Case("tiny-160", "timm:test_vit", 160, pixels=32, images=16, batch=4, steps=2),
)
"""Cases that show in a minute or two that everything runs; their figures mean nothing."""


def measure(case: Case, work: Path, repeat: int) -> Found:
    """Seconds for an image of both ways, repeat by repeat, and for a stored view; what was measured before is not again."""
    done = work / f"{case.name}.json"
    if not done.is_file():
        began, out = time.monotonic(), work / case.name
        found = _compared(case, out, repeat)
        done.write_text(
            json.dumps({**found, "seconds": round(time.monotonic() - began, 1)}, indent=1), encoding="utf-8"
        )
        shutil.rmtree(out)
    kept: Found = json.loads(done.read_text("utf-8"))
    if (asked := _settings(case)) != (was := {key: kept.get(key) for key in asked}):
        raise SystemExit(f"{done} was measured with {was}, and now it is {asked}: remove the file")
    return kept


def _settings(case: Case) -> Found:
    return {
        "name": case.name,
        "teacher": case.teacher,
        "sees": case.sees,
        "student": case.student,
        "pixels": case.pixels,
        "batch": case.batch,
        "steps": case.steps,
    }


def _compared(case: Case, out: Path, repeat: int) -> Found:
    from students import compare_streams

    found = compare_streams(
        WAYS,
        student=case.student,
        student_size=case.pixels,
        train_set={"precision": "float32"},  # at these sizes a CPU is quicker in float32
        train_batch=case.batch,
        val="none",
        steps=case.steps,
        repeat=repeat,
        images=case.images,
        epochs=1.0,
        students=1,
        device="cpu",
        out=out,
        **case.options,
    ).comparison
    on, off = found.arms
    view = found.built[found.caches[off.name]].image
    seconds = {
        key: [one.step_seconds / found.batch for one in found.measured[arm.name]]
        for key, arm in (("connected", on), ("cached", off))
    }
    return {**_settings(case), **seconds, "view": view.mean, "view_half": view.half}


def main(arguments: list[str]) -> None:
    """Measure, combine, write down."""
    parser = argparse.ArgumentParser(description="When a cache pays: measure, and write docs/results/when-it-pays.*")
    parser.add_argument("work", type=Path, help="folder for what is measured")
    parser.add_argument("--quick", action="store_true", help="two tiny cases, written into the folder, not into docs/")
    asked = parser.parse_args(arguments)
    work: Path = asked.work / "quick" if asked.quick else asked.work
    work.mkdir(parents=True, exist_ok=True)
    from tests.experiments.pays_page import PAGE, results, write

    if (load := os.getloadavg()[0]) > BUSY:
        print(f"this machine is busy (load {load:.1f}): stop what runs on it, or the figures mean nothing", flush=True)
    every = []
    for case in QUICK if asked.quick else CASES:
        every.append(measure(case, work, 1 if asked.quick else REPEAT))
        on, off = (1000 * min(every[-1][key]) for key in ("connected", "cached"))
        print(
            f"{case.name:14} {on:8.1f} ms an image connected, {off:6.1f} ms cached  ({every[-1]['seconds']:.0f} s)",
            flush=True,
        )
    found = results(every, MACHINE)
    page = work / "page.md" if asked.quick else PAGE
    if asked.quick:
        shutil.copy(PAGE, page)
    write(found, work if asked.quick else RESULTS, page)
    print(f"wrote {page} and {NAME}.json, {NAME}.svg in {work if asked.quick else RESULTS}")


if __name__ == "__main__":
    main(sys.argv[1:])
