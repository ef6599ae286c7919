"""Make the weights of a teacher in the package: train it from scratch on generated pictures, on a CPU.

Input: a family, a size and a folder. Output: a checkpoint laid out like a published one, whose safetensors header records how it
was made and its accuracy on the held-out split. The declaration of a family names its trainers.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from kdcache.base.plugins import attribute
from kdcache.base.progress import Progress, Silent
from kdcache.errors import Unavailable, UsageError
from kdcache.images.shapes import COUNTS, VERSION
from kdcache.teachers.family import NANO, Packaged
from kdcache.teachers.nano_training.pictures import paint_all, painters
from kdcache.teachers.nano_training.portions import FreshPictures, Portions, SamePictures
from kdcache.teachers.nano_training.saved import Saved
from kdcache.teachers.nano_training.schedule import Schedule
from kdcache.teachers.nano_training.trainer import Trainer, Work
from kdcache.teachers.registry import PLUGINS, trainable_names, trainable_sizes


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
    size: str = NANO,
    seed: int = 0,
    epochs: int | None = None,
    count: int | None = None,
    workers: int = 2,
    progress: Progress | None = None,
) -> TrainedNano:
    """Train as many steps as `epochs` passes over `count` pictures (all 20,000 by default) have, with `workers` threads, and
    write the checkpoint below `out`. The same call continues a training that was stopped.
    """
    packaged, trainer = _trainable(name, size)
    path = out / packaged.file
    recipe = _recipe(trainer, path, epochs, count)
    if recipe.epochs < 1 or workers < 1 or not 0 <= seed < 1 << 63:
        raise UsageError(f"cannot train for {recipe.epochs} epochs with {workers} workers and seed {seed}")
    started, pixels, progress = time.monotonic(), packaged.pixels(), progress or Silent()
    an_epoch = count or COUNTS["train"]
    facts = _facts(name, size, seed, recipe, an_epoch, workers)
    saved = Saved(path.with_suffix(".training"), {**facts, "schedule": repr(recipe)})
    progress.doing("painting pictures")
    held_out = paint_all("val", workers=workers, side=pixels.size[0])
    with painters(workers) as pool, _threads(workers), torch.random.fork_rng(devices=[]):
        if recipe.fresh:
            portions: Portions = FreshPictures(recipe, an_epoch, pool)
        else:
            portions = SamePictures(paint_all("train", count=count, workers=workers), recipe.epochs)
        torch.manual_seed(seed)
        made = trainer.make(Work(pixels, portions, held_out, recipe, seed, saved, progress))
    written = made.save(path, {"accuracy": f"{made.accuracy:.4f}", **made.facts, **facts})
    saved.remove()
    return TrainedNano(written, made.accuracy, made.facts["measured"], time.monotonic() - started)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _trainable(name: str, size: str) -> tuple[Packaged, Trainer]:
    family = PLUGINS.find(name)
    sizes = trainable_sizes(family) if family is not None else []
    if family is None or not sizes:
        message = f"{name!r} has no size that can be trained"
        raise UsageError(message, hint=f"one of {', '.join(trainable_names())}")
    if size not in sizes:
        raise UsageError(f"{name} {size} cannot be trained here", hint=f"--size {' or '.join(sizes)}")
    packaged = family.in_package(size)
    trainer: Trainer = attribute(str(packaged.trainer))
    return packaged, trainer


def _recipe(trainer: Trainer, file: Path, epochs: int | None, count: int | None) -> Schedule:
    if not hasattr(torch.optim, "Muon"):
        raise Unavailable(f"torch {torch.__version__} has no Muon optimiser", hint="pip install 'torch>=2.9'")
    if file.exists():
        raise UsageError(f"{file} is there already", hint="choose another folder with --out")
    recipe = trainer.recipe if epochs is None else replace(trainer.recipe, epochs=epochs)
    if count is not None and count < recipe.batch:
        raise UsageError(f"{count} pictures are less than one batch of {recipe.batch}")
    return recipe


def _facts(name: str, size: str, seed: int, recipe: Schedule, count: int, workers: int) -> dict[str, str]:
    """The facts for the safetensors header."""
    limit = f" --limit {count}" if count != COUNTS["train"] else ""
    sized = "" if size == NANO else f" --size {size}"
    shown = f"{count:,} pictures of the train split, {recipe.epochs} epochs"
    if recipe.fresh:
        seen = recipe.epochs * count // recipe.passes
        shown = f"about {seen:,} pictures of another seed than the splits, {recipe.passes} passes"
    return {
        "trained_on": f"shapes version {VERSION}, {shown}",
        "command": f"kd teacher train-nano {name}{sized} --seed {seed} --epochs {recipe.epochs} --workers {workers}{limit}",
        "seed": str(seed),
        "torch": str(torch.__version__),  # a class of its own, which `weights_only` does not load
    }
