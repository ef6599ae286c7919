"""Make the weights of a nano teacher: train it from scratch on the generated set `shapes`, on a CPU.

Input: a family and a folder. Output: a checkpoint laid out like a published one, whose safetensors header records how it was
made and its accuracy on the held-out split. The declaration of a family names its trainer.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from kdcache.base.plugins import attribute
from kdcache.base.progress import Progress, Silent
from kdcache.errors import Unavailable, UsageError
from kdcache.images.shapes import COUNTS, VERSION
from kdcache.teachers.family import Nano, TeacherFamily
from kdcache.teachers.nano_training.descent import Schedule
from kdcache.teachers.nano_training.pictures import paint_all
from kdcache.teachers.nano_training.trainer import Made, Trainer, Work
from kdcache.teachers.registry import PLUGINS, trainable_names


@dataclass(frozen=True)
class TrainedNano:
    """A trained checkpoint and its accuracy."""

    path: Path
    accuracy: float
    """Top-1 on the held-out split, measured on the float16 weights."""
    measured: str
    """Description of how the accuracy was measured."""
    seconds: float


def train_nano(
    name: str,
    out: Path,
    *,
    seed: int = 0,
    epochs: int | None = None,
    count: int | None = None,
    workers: int = 2,
    progress: Progress | None = None,
) -> TrainedNano:
    """Train on `count` pictures (all 20,000 by default) with `workers` threads, and write the checkpoint below `out`."""
    family, nano, trainer = _trainable(name)
    recipe = _recipe(trainer, out / nano.file, epochs, count)
    if recipe.epochs < 1 or workers < 1 or not 0 <= seed < 1 << 63:
        raise UsageError(f"cannot train for {recipe.epochs} epochs with {workers} workers and seed {seed}")
    started = time.monotonic()
    pictures, held_out = paint_all("train", count=count, workers=workers), paint_all("val", workers=workers)
    threads = torch.get_num_threads()
    torch.set_num_threads(workers)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made = trainer.make(Work(family, pictures, held_out, recipe, seed, progress or Silent()))
    finally:
        torch.set_num_threads(threads)
    facts = _facts(name, made, seed, recipe.epochs, len(pictures), workers)
    seconds = time.monotonic() - started
    return TrainedNano(made.save(out, facts), made.accuracy, made.facts["measured"], seconds)


def _trainable(name: str) -> tuple[TeacherFamily, Nano, Trainer]:
    family = PLUGINS.find(name)
    if family is None or family.nano is None or family.nano.trainer is None:
        message = f"{name!r} has no nano size that can be trained"
        raise UsageError(message, hint=f"one of {', '.join(trainable_names())}")
    trainer: Trainer = attribute(family.nano.trainer)
    return family, family.nano, trainer


def _recipe(trainer: Trainer, file: Path, epochs: int | None, count: int | None) -> Schedule:
    if not hasattr(torch.optim, "Muon"):
        raise Unavailable(f"torch {torch.__version__} has no Muon optimiser", hint="pip install 'torch>=2.9'")
    if file.exists():
        raise UsageError(f"{file} is there already", hint="choose another folder with --out")
    recipe = trainer.recipe if epochs is None else replace(trainer.recipe, epochs=epochs)
    if count is not None and count < recipe.batch:
        raise UsageError(f"{count} pictures are less than one batch of {recipe.batch}")
    return recipe


def _facts(name: str, made: Made, seed: int, epochs: int, count: int, workers: int) -> dict[str, str]:
    """The facts for the safetensors header."""
    limit = f" --limit {count}" if count != COUNTS["train"] else ""
    return {
        "accuracy": f"{made.accuracy:.4f}",
        **made.facts,
        "trained_on": f"shapes version {VERSION}, {count:,} pictures of the train split, {epochs} epochs",
        "command": f"kd teacher train-nano {name} --seed {seed} --epochs {epochs} --workers {workers}{limit}",
        "seed": str(seed),
        "torch": torch.__version__,
    }
