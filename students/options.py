"""What a user may ask of a training, and the defaults that depend on what was asked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kdcache.base.machine import render_workers

StreamMode = Literal["off", "on", "none"]


@dataclass(frozen=True)
class MachineOptions:
    """This machine: nothing here changes what is learnt, beyond the rounding of another device."""

    device: str = "auto"
    workers: int | None = None
    """processes that render views; None: one a core, at most sixteen"""
    data: str | None = None
    """where the images lie now, when they have moved"""
    val: tuple[str, ...] = ()
    """the same of the validation images of a run that goes on; of several sets NAME=SOURCE each"""
    weights: str | None = None
    """where the files of a connected teacher lie, or of one whose encoder the student shares"""
    head: str | None = None
    compiled: bool = False
    recompute: bool = False
    """activations are computed again instead of kept: less memory, more time"""
    stop_at: int | None = None
    """stop after this step, as if interrupted"""
    trackers: tuple[str, ...] = ()
    """tensorboard, wandb"""
    timed: bool = False
    """wait for the accelerator after every stage, so that the split of the time is true"""

    @property
    def on_cpu(self) -> bool:
        """True when no accelerator is used."""
        if self.device != "auto":
            return self.device.startswith("cpu")
        import torch

        return not torch.cuda.is_available()

    @property
    def render_workers(self) -> int:
        """Processes that render views."""
        return render_workers(self.workers)


@dataclass(frozen=True)
class TrainOptions:
    """One training, as asked for. None means: choose what fits."""

    student: str | None = None
    recipe: str | None = None
    settings: tuple[str, ...] = ()
    cache: Path | None = None
    stream: StreamMode = "off"
    background: str | None = None
    """under transparent pixels, where no cache says it; None: as the run it begins with, or the recipe of the views"""
    val: str | tuple[str, ...] | None = None
    """images it is judged on; several sets as NAME=SOURCE each; `none`: it is not judged; None: what the recipe says"""
    size: int | None = None
    start: str | None = None
    """a run or a weights file to begin with"""
    new_head: bool = False
    """begin with all of it but the classifier"""
    head_rows: str | None = None
    """a file: which row of the old classifier each class begins with, a number a line, -1 for none"""
    freeze: bool = False
    """Whether the classifier alone is trained: the constraint `frozen` is added to the recipe."""
    out: Path | None = None
    seed: int = 0
    epochs: float | None = None
    steps: int | None = None
    batch: int | None = None
    micro: int | None = None
    views: tuple[int, ...] | None = None
    log_every: int | None = None
    validate_every: int | None = None
    keep_every: int | None = None

    @property
    def validation(self) -> tuple[str, ...]:
        """The places of `val`, as they were given."""
        if isinstance(self.val, str):
            return (self.val,)
        return self.val or ()
