"""Options of a training, and defaults that depend on other options."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kdcache.base.machine import render_workers

StreamMode = Literal["off", "on", "none"]


@dataclass(frozen=True)
class MachineOptions:
    """Options that depend on this machine; none of them changes the result, apart from rounding on another device."""

    device: str = "auto"
    workers: int | None = None
    """Number of processes that render views. None: one per core, at most sixteen."""
    data: str | None = None
    """New location of the training images, if they have moved."""
    val: tuple[str, ...] = ()
    """New locations of the validation images, when resuming a run; NAME=SOURCE where there are several sets."""
    weights: str | None = None
    """File of the weights of a connected teacher, or of one whose encoder the student shares."""
    head: str | None = None
    compiled: bool = False
    recompute: bool = False
    """Whether activations are recomputed in the backward pass: less memory, more time."""
    stop_at: int | None = None
    """Step after which the training stops, as if interrupted. None: at its end."""
    trackers: tuple[str, ...] = ()
    """Names of trackers to log to: tensorboard, wandb."""
    timed: bool = False
    """Whether to wait for the accelerator after every stage, so that each stage's time is its own."""

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
    """The options of one training. None: a suitable value is chosen."""

    student: str | None = None
    recipe: str | None = None
    settings: tuple[str, ...] = ()
    cache: Path | None = None
    stream: StreamMode = "off"
    background: str | None = None
    """Colour behind transparent pixels, without a cache. None: that of the run it starts from, or of the view recipe."""
    val: str | tuple[str, ...] | None = None
    """Validation images, NAME=SOURCE for each of several sets, or `none`. None: what the recipe says."""
    size: int | None = None
    start: str | None = None
    """Run or weights file to start from. None: random weights."""
    new_head: bool = False
    """Whether the classifier starts anew while all other weights are taken from `start`."""
    head_rows: str | None = None
    """File with the row of the old classifier that each class starts from, one per line, -1 for none."""
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
        """`val` as a tuple of sources."""
        if isinstance(self.val, str):
            return (self.val,)
        return self.val or ()
