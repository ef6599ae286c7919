"""Options of a comparison, as the command line and the Python function take them."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kdcache.build.options import BuildOptions

STEPS, REPEATS = 12, 5
"""Default steps of a measurement, and measurements of each arm: many short ones make an answer surer than few long ones."""
JOB = ("epochs", "students", "price", "watts", "project")
"""Options of which only the costs depend, and nothing that is measured."""


@dataclass(frozen=True)
class CompareOptions:
    """Options of one comparison. None means that a fitting value is chosen."""

    arms: tuple[str, ...]
    build: BuildOptions
    """Teacher, images and views. `data` None: the embedded images; `teacher` empty: the default one for the student."""
    images: int | None = None
    """Number of images in the cache and in the training; None: chosen by the teacher's speed."""
    student: str = "tinyvit-5m"
    recipe: str = ""
    """Training recipe; empty: the student's own, or the one for the embedded images."""
    settings: tuple[str, ...] = ()
    size: int | None = None
    steps: int = STEPS
    repeat: int = REPEATS
    batch: int | None = None
    micro: int | None = None
    val: str | tuple[str, ...] | None = None
    """Validation images, as in `TrainOptions.val`."""
    memory: int | None = None
    """Memory of one device, in bytes, for which the largest batch that fits is searched; None: no search."""
    device: str = "auto"
    out: Path | None = None
    epochs: float | None = None
    """Epochs of the training that is projected; None: those of the recipe."""
    students: int = 1
    price: float | None = None
    watts: float | None = None
    project: str | None = None

    def plain(self) -> dict[str, Any]:
        """The options that say what is measured, as JSON values: a comparison can only be resumed with equal ones.

        With others for the number of repeats and for the job, the same measurements are used.
        """
        asked = {key: value for key, value in asdict(self).items() if key not in ("out", "repeat", *JOB)}
        build = {f"build.{key}": value for key, value in asked.pop("build").items()}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in {**asked, **build}.items()}

    @property
    def places(self) -> tuple[str, ...]:
        """Sources of the validation images given with `val`."""
        given = (self.val,) if isinstance(self.val, str) else self.val or ()
        return tuple(each for each in given if each != "none")
