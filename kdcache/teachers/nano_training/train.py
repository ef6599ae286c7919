"""Makes the weights of a nano teacher: trains it on the generated set `shapes`, from nothing, on a CPU.

Input: a family and a folder. Output: a checkpoint laid out like a published one; its safetensors header says how it was
made and how good it is on the held-out split. florence and clip are told the classes; data2vec teaches itself.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from kdcache.base.progress import Progress, Silent
from kdcache.errors import Unavailable, UsageError
from kdcache.images.shapes import COUNTS, VERSION
from kdcache.teachers.nano import FILES, NANO_PREPROCESS, Family
from kdcache.teachers.nano_training.descent import RECIPES, Recipe
from kdcache.teachers.nano_training.pictures import Pictures, paint_all


@dataclass(frozen=True)
class TrainedNano:
    """A checkpoint that was made, and how good it is."""

    path: Path
    accuracy: float
    """top-1 on the held-out split, measured on the float16 weights: florence through its head, clip zero-shot, data2vec
    through a linear probe"""
    seconds: float


@dataclass(frozen=True)
class _Made:
    """A network that was trained."""

    save: Callable[[Path, dict[str, str]], Path]
    """below a folder, with facts for the header; returns the weights file"""
    accuracy: float
    facts: dict[str, str]
    """how that was measured, and what else was"""


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
    if recipe.epochs < 1 or workers < 1 or not 0 <= seed < 1 << 63:
        raise UsageError(f"cannot train for {recipe.epochs} epochs with {workers} workers and seed {seed}")
    started = time.monotonic()
    pictures, held_out = paint_all("train", count=count, workers=workers), paint_all("val", workers=workers)
    make = _self_taught if family == "data2vec" else _told
    threads = torch.get_num_threads()
    torch.set_num_threads(workers)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made = make(family, pictures, held_out, recipe, seed, progress or Silent())
    finally:
        torch.set_num_threads(threads)
    facts = _facts(family, made, seed, recipe.epochs, len(pictures), workers)
    return TrainedNano(made.save(out, facts), made.accuracy, time.monotonic() - started)


def _told(
    family: Family, pictures: Pictures, held_out: Pictures, recipe: Recipe, seed: int, progress: Progress
) -> _Made:
    """A teacher that learns the names of the classes."""
    from kdcache.teachers.nano_training.guide import Guide
    from kdcache.teachers.nano_training.pupils import new_pupil
    from kdcache.teachers.nano_training.training import accuracy, fit

    preprocess = NANO_PREPROCESS[family]
    pupil = new_pupil(family)
    guide = Guide(pupil.dims) if family == "clip" else None
    fit(pupil, pictures, preprocess, recipe, seed=seed, progress=progress, guide=guide)
    pupil.network.half().float()
    measured = "top-1 on shapes:split=val, " + ("through the head" if family == "florence" else "zero-shot")
    return _Made(pupil.save, accuracy(pupil, held_out, preprocess), {"measured": measured})


def _self_taught(
    family: Family, pictures: Pictures, held_out: Pictures, recipe: Recipe, seed: int, progress: Progress
) -> _Made:
    """A teacher that learns from pixels alone; labels are looked at afterwards, to measure it."""
    from kdcache.teachers.families.data2vec.checkpoint import fairseq_tensors
    from kdcache.teachers.nano_training.probe import LOOKED_AT, embedded, probed, untrained
    from kdcache.teachers.nano_training.pupils import save_half
    from kdcache.teachers.nano_training.self_taught import teach_itself

    preprocess = NANO_PREPROCESS[family]
    network = teach_itself(pictures.pixels, preprocess, recipe, seed=seed, progress=progress)
    network.half().float()
    progress.note("measuring")
    good, floor = (
        probed(partial(embedded, net, preprocess=preprocess), pictures, held_out) for net in (network, untrained())
    )
    looked = f"{min(LOOKED_AT, len(pictures)):,} pictures of the train split"
    facts = {
        "measured": f"top-1 on shapes:split=val of a linear probe on the mean token, fitted on {looked}",
        "nearest": f"{good.nearest:.4f}",
        "untrained": f"{floor.linear:.4f}",
        "labels": "none in training",
    }
    tensors = fairseq_tensors(network)
    return _Made(lambda out, said: save_half(tensors, out / FILES[family], said), good.linear, facts)


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


def _facts(family: Family, made: _Made, seed: int, epochs: int, count: int, workers: int) -> dict[str, str]:
    """What the safetensors header says."""
    limit = f" --limit {count}" if count != COUNTS["train"] else ""
    return {
        "accuracy": f"{made.accuracy:.4f}",
        **made.facts,
        "trained_on": f"shapes version {VERSION}, {count:,} pictures of the train split, {epochs} epochs",
        "command": f"kd teacher train-nano {family} --seed {seed} --epochs {epochs} --workers {workers}{limit}",
        "seed": str(seed),
        "torch": torch.__version__,
    }
