"""Measures what a training step costs, on random pixels and random signals: the time of a step depends on neither.

Input: the record of a run that is never started (students/plan/ahead.py) and a device. Output: the seconds of a step. Nothing is
read or written; it takes a few seconds, for which a slow student is measured on fewer images.
"""

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kdcache.base.machine import out_of_memory
from kdcache.base.strict import Strict
from kdcache.codecs import make_codec
from kdcache.errors import OutOfMemory, Unavailable
from kdcache.signals.signal import Signal
from students.base.machine import World, device_of
from students.base.truths import CLASS
from students.families.registry import build_student, family_of
from students.options import MachineOptions
from students.plan.sides import shows_images, sides_of, signals_read
from students.runs.record import RunRecord
from students.train.feed import Piece
from students.train.job import Lesson
from students.train.learner import Learner
from students.train.losses import own_modules
from students.train.optimise import Pace
from students.train.targets import Signals

TIMES = 3
"""Number of steps that are timed, after one that is not."""
FEW = 8
"""Number of images in the first step, by which the others are chosen."""
LONGEST = 4.0
"""Seconds that the timed steps may take together, unless even FEW images take longer."""


class StepTime(Strict):
    """The cost of a training step."""

    seconds: float
    """Seconds of a whole step of `batch` images, without rendering and reading."""
    batch: int
    measured: int
    """Number of images it was measured on; with fewer than `batch`, the rest is taken to take as long."""


def measure_step(record: RunRecord, device: str) -> StepTime:
    """Train a new student for a few steps on a piece of random pixels, on this device."""
    where = device_of(device)
    try:
        learner = Learner(_lesson(record, device), World(0, 1, where))
        learner.begin()
        few = min(FEW, record.micro)
        learn, update = _timed(record, learner, few, where, times=1)
        count = min(record.micro, max(few, int(few * LONGEST / (TIMES * (learn + update)))))
        learn, update = _timed(record, learner, count, where, times=TIMES)
    except out_of_memory() as error:
        raise OutOfMemory(f"{record.student.name} does not fit on {device}", hint="a smaller --student-size") from error
    batch = record.recipe.batch
    return StepTime(seconds=learn * batch / count + update, batch=batch, measured=count)


def _lesson(record: RunRecord, device: str) -> Lesson:
    with torch.random.fork_rng(devices=[]):
        network = build_student(record.student)
    return Lesson(
        network=network,
        family=family_of(record.student),
        own=own_modules(record.recipe, sides_of(record, {CLASS: None}), record.seed),
        record=record,
        machine=MachineOptions(device=device),
        pace=Pace(record.recipe.optimiser, record.pacing.steps, 0),
    )


def _timed(record: RunRecord, learner: Learner, count: int, device: torch.device, *, times: int) -> tuple[float, float]:
    """Seconds of a piece of `count` images, and of the update of the weights; medians after a first one that is not timed."""
    piece, signals = _piece(record, count), _signals(record, count, device)
    seconds = [
        (_seconds(device, learner.learn, piece, signals), _seconds(device, learner.step, number))
        for number in range(times + 1)
    ]
    learns, updates = zip(*seconds[1:], strict=True)
    return median(learns), median(updates)


def _seconds(device: torch.device, call: Callable[..., Any], *arguments: Any) -> float:
    begun = time.perf_counter()
    call(*arguments)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begun


def _piece(record: RunRecord, count: int) -> Piece:
    """Some examples of random pixels and classes."""
    if strange := [name for name in record.needs.columns if name != CLASS]:
        raise Unavailable(f"{record.student.name} learns from {', '.join(strange)}, which random pixels do not have")
    dice = np.random.Generator(np.random.Philox(0))
    shown = shows_images(record.recipe, record.student, record.all_caches)
    classes = dice.integers(0, max(1, len(record.student.classes)), count)
    truths = {CLASS: (classes, np.full(count, -1), np.ones(count, np.float32))}
    return Piece(
        step=0,
        last=True,
        view=0,
        rows=np.arange(count),
        span=slice(0, count),
        pixels=dice.integers(0, 256, (count, *record.student.input, 3), np.uint8) if shown else None,
        shown=None,
        good=np.ones(count, np.bool_),
        truths=truths if CLASS in record.needs.columns else {},
    )


def _signals(record: RunRecord, count: int, device: torch.device) -> Signals:
    """What a training would read from the cache: random values as their codec gives them back."""
    (cache,) = record.all_caches
    read = signals_read(record.recipe, record.student, record.all_caches)
    return {
        signal.name: _as_read(signal, cache.signals[signal.name], count, device)
        for signal in cache.stored
        if signal.name in read
    }


def _as_read(signal: Signal, codec_name: str, count: int, device: torch.device) -> Any:
    if signal.lengths or signal.vocabulary is not None:
        raise Unavailable(
            f"no random values can stand for {signal.name}, whose rows are of whole numbers or differ in length"
        )
    codec = make_codec(codec_name, signal)
    decoded = codec.decode(codec.encode(_random(count, signal.shape)))
    return torch.tensor(decoded, device=device) if isinstance(decoded, np.ndarray) else decoded.to(device)


def _random(count: int, shape: Sequence[int]) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(0))
