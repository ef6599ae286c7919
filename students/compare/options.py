"""Options of a comparison, as the command line and the Python function take them."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kdcache.build.options import BuildOptions


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
    steps: int = 30
    repeat: int = 3
    batch: int | None = None
    micro: int | None = None
    val: str | tuple[str, ...] | None = None
    """Validation images, as in `TrainOptions.val`."""
    memory: int | None = None
    """Memory of one device, in bytes, for which the largest batch that fits is searched; None: no search."""
    device: str = "auto"
    out: Path | None = None
    epochs: float = 90.0
    students: int = 1
    price: float | None = None
    project: str | None = None

    def plain(self) -> dict[str, Any]:
        """The options as JSON values, without `out`. A comparison can only be resumed with equal ones."""
        asked = {key: value for key, value in asdict(self).items() if key != "out"}
        build = {f"build.{key}": value for key, value in asked.pop("build").items()}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in {**asked, **build}.items()}

    @property
    def places(self) -> tuple[str, ...]:
        """Sources of the validation images given with `val`."""
        given = (self.val,) if isinstance(self.val, str) else self.val or ()
        return tuple(each for each in given if each != "none")
