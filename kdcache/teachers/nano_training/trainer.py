"""The trainer of a size in the package, which a family names in its declaration, and the trainer's input and result."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kdcache.base.progress import Progress
from kdcache.signals.teacher import Preprocess
from kdcache.teachers.nano_training.pictures import DrawnPictures
from kdcache.teachers.nano_training.portions import Portions
from kdcache.teachers.nano_training.saved import Saved
from kdcache.teachers.nano_training.schedule import Schedule


@dataclass(frozen=True)
class Work:
    """The input of a trainer: pictures, recipe and settings."""

    preprocess: Preprocess
    portions: Portions
    """Pictures to train on."""
    held_out: DrawnPictures
    """Pictures to measure on."""
    recipe: Schedule
    seed: int
    saved: Saved
    """Where the state is saved while it trains."""
    progress: Progress


@dataclass(frozen=True)
class Made:
    """The result of a trainer: a trained network."""

    save: Callable[[Path, dict[str, str]], Path]
    """Writes the checkpoint, whose weights file has this path, with facts for its header; returns the path."""
    accuracy: float
    facts: dict[str, str]
    """How the accuracy was measured, and other measurements."""


@dataclass(frozen=True)
class Trainer:
    """How one size of a family is trained."""

    recipe: Schedule
    """The recipe with which the weights in the package were made."""
    make: Callable[[Work], Made]
