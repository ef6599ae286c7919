"""What trains a nano size, and what it is given: the record that a family names in its declaration."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kdcache.base.progress import Progress
from kdcache.teachers.family import TeacherFamily
from kdcache.teachers.nano_training.descent import Schedule
from kdcache.teachers.nano_training.pictures import DrawnPictures


@dataclass(frozen=True)
class Work:
    """One training of a nano size."""

    family: TeacherFamily
    pictures: DrawnPictures
    """Pictures it learns from."""
    held_out: DrawnPictures
    """Pictures it is measured on."""
    recipe: Schedule
    seed: int
    progress: Progress


@dataclass(frozen=True)
class Made:
    """A network that was trained."""

    save: Callable[[Path, dict[str, str]], Path]
    """Writes the checkpoint below a folder, with facts for its header, and returns the weights file."""
    accuracy: float
    facts: dict[str, str]
    """How the accuracy was measured, and whatever else was."""


@dataclass(frozen=True)
class Trainer:
    """How the nano size of one family is trained."""

    recipe: Schedule
    """As the weights in the package were made."""
    make: Callable[[Work], Made]
