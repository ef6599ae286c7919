"""Makes the weights of a nano teacher: trains it on the generated set `shapes`, from nothing, on a CPU.

Input: a family and a folder. Output: a checkpoint laid out like a published one; its safetensors header says how it was
made and how good it is on the held-out split.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from kdcache.errors import Unavailable, UsageError
from kdcache.images.shapes import COUNTS, VERSION
from kdcache.progress import Progress, Silent
from kdcache.teachers.nano import FILES, NANO_PREPROCESS, Family
from kdcache.teachers.nano.guide import Guide
from kdcache.teachers.nano.pictures import paint_all
from kdcache.teachers.nano.pupils import new_pupil
from kdcache.teachers.nano.training import RECIPES, Recipe, accuracy, fit


@dataclass(frozen=True)
class TrainedNano:
    """A checkpoint that was made, and how good it is."""

    path: Path
    accuracy: float
    """top-1 on the held-out split, measured on the float16 weights: florence through its head, clip zero-shot"""
    seconds: float


def train_nano(
    family: Family,
    out: Path,
    *,
    seed: int = 0,
    epochs: int | None = None,
    count: int | None = None,
    workers: int = 2,
    progress: Progress | None = None,
) -> TrainedNano:
    """Train on `count` pictures (all 20,000 by default) with `workers` threads, and write the checkpoint below `out`."""
    recipe = _recipe(family, out, epochs, count)
    if recipe.epochs < 1 or workers < 1 or seed < 0:
        raise UsageError(f"cannot train for {recipe.epochs} epochs with {workers} workers and seed {seed}")
    progress = progress or Silent()
    started = time.monotonic()
    preprocess = NANO_PREPROCESS[family]
    pictures, held_out = paint_all("train", count=count, workers=workers), paint_all("val", workers=workers)
    threads = torch.get_num_threads()
    torch.set_num_threads(workers)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            pupil = new_pupil(family)
            guide = Guide(pupil.dims) if family == "clip" else None
            fit(pupil, pictures, preprocess, recipe, seed=seed, progress=progress, guide=guide)
        pupil.network.half().float()
        right = accuracy(pupil, held_out, preprocess)
    finally:
        torch.set_num_threads(threads)
    facts = _facts(family, right, seed, recipe.epochs, len(pictures), workers)
    return TrainedNano(pupil.save(out, facts), right, time.monotonic() - started)


def _recipe(family: Family, out: Path, epochs: int | None, count: int | None) -> Recipe:
    if not hasattr(torch.optim, "Muon"):
        raise Unavailable(f"torch {torch.__version__} has no Muon optimiser", hint="pip install 'torch>=2.9'")
    if family not in FILES:
        raise UsageError(f"{family!r} has no nano size that can be trained", hint=f"one of {', '.join(FILES)}")
    if (out / FILES[family]).exists():
        raise UsageError(f"{out / FILES[family]} is there already", hint="choose another folder with --out")
    recipe = RECIPES[family] if epochs is None else replace(RECIPES[family], epochs=epochs)
    if count is not None and count < recipe.batch:
        raise UsageError(f"{count} pictures are less than one batch of {recipe.batch}")
    return recipe


def _facts(family: Family, right: float, seed: int, epochs: int, count: int, workers: int) -> dict[str, str]:
    """What the safetensors header says."""
    limit = f" --limit {count}" if count != COUNTS["train"] else ""
    return {
        "accuracy": f"{right:.4f}",
        "measured": "top-1 on shapes:split=val, " + ("through the head" if family == "florence" else "zero-shot"),
        "trained_on": f"shapes version {VERSION}, {count:,} pictures of the train split, {epochs} epochs",
        "command": f"kd teacher train-nano {family} --seed {seed} --epochs {epochs} --workers {workers}{limit}",
        "seed": str(seed),
        "torch": torch.__version__,
    }
