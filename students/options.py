"""Options of a training, as the command line and the Python functions take them."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from kdcache.base.machine import render_workers
from students.base.validation import named

StreamMode = Literal["off", "on", "none"]


class NamedCache(NamedTuple):
    """A cache to learn from, one of several."""

    path: Path
    name: str | None = None
    """Name in the addresses of its signals, NAME.SIGNAL; None: they are addressed by their names alone."""

    @classmethod
    def parsed(cls, text: str) -> "NamedCache":
        """`NAME=PATH` or a path. What lies there under the whole text is a path, though its own name may have a `=`."""
        name, path = (None, text) if os.path.lexists(text) else named(text)
        return cls(Path(path), name)


@dataclass(frozen=True)
class MachineOptions:
    """Options of this machine. They do not change what is learnt, except for the rounding of another device."""

    device: str = "auto"
    workers: int | None = None
    """Number of processes that render views; None: one per core, at most sixteen."""
    keep_views: int | None = None
    """Bytes of memory for rendered views that are kept for later epochs; None: a quarter of the free memory."""
    data: str | None = None
    """New location of the training images, when they have moved since the cache or the run was made."""
    val: tuple[str, ...] = ()
    """New location of the validation images, when resuming a run; NAME=SOURCE for each of several sets."""
    weights: str | None = None
    """Location of the weights of a live teacher, or of the teacher whose encoder the student shares."""
    head: str | None = None
    compiled: bool = False
    recompute: bool = False
    """Whether activations are recomputed in the backward pass: less memory, more time."""
    stop_at: int | None = None
    """Step after which training stops as if interrupted; None: it runs to its end."""
    trackers: tuple[str, ...] = ()
    """Trackers that metrics are also sent to: `tensorboard`, `wandb`."""
    timed: bool = False
    """Whether each stage waits for the accelerator, so that the seconds logged for every stage are exact."""

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
    """Options of one training. None means that a fitting value is chosen."""

    student: str | None = None
    recipe: str | None = None
    settings: tuple[str, ...] = ()
    cache: Path | tuple[NamedCache, ...] | None = None
    """Cache to learn from, or several of the same images; None: the newest that fits."""
    stream: StreamMode = "off"
    background: str | None = None
    """Colour under transparent pixels, for training without a cache; None: that of the run it starts from, else of
    the view recipe."""
    val: str | tuple[str, ...] | None = None
    """Validation images, NAME=SOURCE for each of several sets; `none`: the student is not judged; None: as in the
    recipe."""
    size: int | None = None
    start: str | None = None
    """Run or weights file whose weights training starts from; None: random weights."""
    new_head: bool = False
    """Whether all weights but the classifier's are taken from `start`."""
    head_rows: str | None = None
    """File that gives, for each class, the row of the old classifier it starts from: one number per line, -1 for none."""
    freeze: bool = False
    """Whether only the classifier is trained: the constraint `frozen` is added to the recipe."""
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
    def caches(self) -> tuple[NamedCache, ...]:
        """The values of `cache` as a tuple."""
        return (NamedCache(self.cache),) if isinstance(self.cache, Path) else self.cache or ()

    @property
    def validation(self) -> tuple[str, ...]:
        """The values of `val` as a tuple."""
        if isinstance(self.val, str):
            return (self.val,)
        return self.val or ()
