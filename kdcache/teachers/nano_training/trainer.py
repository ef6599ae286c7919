"""The trainer of a nano size, which a family names in its declaration, and the trainer's input and result."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kdcache.base.progress import Progress
from kdcache.teachers.family import TeacherFamily
from kdcache.teachers.nano_training.descent import Schedule
from kdcache.teachers.nano_training.pictures import DrawnPictures


@dataclass(frozen=True)
class Work:
    """The input of a trainer: pictures, recipe and settings."""

    family: TeacherFamily
    pictures: DrawnPictures
    """Pictures to train on."""
    held_out: DrawnPictures
    """Pictures to measure on."""
    recipe: Schedule
    seed: int
    progress: Progress


@dataclass(frozen=True)
class Made:
    """The result of a trainer: a trained network."""

    save: Callable[[Path, dict[str, str]], Path]
    """Writes the checkpoint below a folder, with facts for its header, and returns the weights file."""
    accuracy: float
    facts: dict[str, str]
    """How the accuracy was measured, and other measurements."""


@dataclass(frozen=True)
class Trainer:
    """How the nano size of one family is trained."""

    recipe: Schedule
    """The recipe with which the weights in the package were made."""
    make: Callable[[Work], Made]
