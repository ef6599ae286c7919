"""The options of a build, and the defaults that depend on other options."""

from dataclasses import dataclass, field
from typing import Literal

from kdcache.base.machine import best_device, render_workers


@dataclass(frozen=True)
class BuildOptions:
    """The options of one build. None means that a suitable value is chosen."""

    teacher: str
    size: str | None = None
    weights: str | None = None
    head: str | None = None
    data: str | None = None
    signals: tuple[str, ...] | None = None
    codecs: dict[str, str] = field(default_factory=dict)
    recipe: str | None = None
    """View recipe; None: `plain` for one view, `augment` for more."""
    overrides: tuple[str, ...] = ()
    background: str | None = None
    """Background colour shown through transparent pixels; None: that of the recipe, by default white."""
    views: int = 1
    seed: int = 0
    backend: Literal["hdf5", "zarr"] = "hdf5"
    compression: str | None = None
    batch: int | None = None
    step: int | None = None
    """Training batch size, when the same teacher will also run on-stream. When `batch` is None, the teacher batch is
    chosen to waste the least padding per step.
    """
    precision: str = "float32"
    devices: tuple[str, ...] = ()
    workers: int | None = None
    part_rows: int | None = None
    input_size: tuple[int, int] | None = None
    classes: str | None = None
    """File with one class name per line."""
    templates: str | None = None
    """File with one prompt template per line, in which `{}` stands for the class name."""

    @property
    def kept(self) -> tuple[str, ...]:
        """The signals to store: the requested ones, else those of the head if one is given, else the family's default."""
        from kdcache.teachers.family import LOGITS
        from kdcache.teachers.registry import usual_signals

        if self.signals is not None:
            return self.signals
        return LOGITS if self.head is not None else usual_signals(self.teacher, self.weights)

    @property
    def device(self) -> str:
        """The first device, on which the teacher is measured."""
        return self.devices[0] if self.devices else best_device()

    @property
    def render_workers(self) -> int:
        """Number of processes that render views."""
        return render_workers(self.workers)
