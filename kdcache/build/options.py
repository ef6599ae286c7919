"""Options of a build, and defaults that depend on other options."""

from dataclasses import dataclass, field
from typing import Literal

from kdcache.base.machine import best_device, render_workers


@dataclass(frozen=True)
class BuildOptions:
    """The options of one build. None: a suitable value is chosen."""

    teacher: str
    size: str | None = None
    weights: str | None = None
    head: str | None = None
    data: str | None = None
    signals: tuple[str, ...] | None = None
    codecs: dict[str, str] = field(default_factory=dict)
    recipe: str | None = None
    """Name of the view recipe. None: `plain` for one view, `augment` for more."""
    overrides: tuple[str, ...] = ()
    background: str | None = None
    """Colour behind transparent pixels. None: that of the recipe, white unless its file names another."""
    views: int = 1
    seed: int = 0
    backend: Literal["hdf5", "zarr"] = "hdf5"
    compression: str | None = None
    batch: int | None = None
    step: int | None = None
    """Batch size of a training that will run the same teacher on-stream. If `batch` is None, the teacher's batch is chosen
    to waste the least padding in each step."""
    precision: str = "float32"
    devices: tuple[str, ...] = ()
    workers: int | None = None
    part_rows: int | None = None
    input_size: tuple[int, int] | None = None
    classes: str | None = None
    """File with one class name per line, for zero-shot logits."""
    templates: str | None = None
    """File with one prompt template per line, `{}` where the class name goes."""

    @property
    def kept(self) -> tuple[str, ...]:
        """The signals: as asked, or logits where a head is given, or those of the teacher's family."""
        from kdcache.teachers.registry import usual_signals

        if self.signals is not None:
            return self.signals
        return ("logits",) if self.head is not None else usual_signals(self.teacher, self.weights)

    @property
    def device(self) -> str:
        """The first device: the one that measures."""
        return self.devices[0] if self.devices else best_device()

    @property
    def render_workers(self) -> int:
        """Processes that render views."""
        return render_workers(self.workers)
