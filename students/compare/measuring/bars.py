"""Passes the progress of an arm, which runs in its own process, to the process that started it.

Input, in the arm's process: calls on its `Progress`. Output, in the starting process: a bar with the name of the arm and of the
stage, and beside it the step and how long the whole comparison will take.
"""

import time
from collections.abc import Callable
from typing import Any

from kdcache.base.own_process import send
from kdcache.base.progress import Progress, Silent

TRAIN = "train"
"""The stage in which an advance is a step."""
_EVERY = 0.2
"""Shortest time, in seconds, between two messages about images: a fast student takes hundreds of steps a second."""


class Relayed(Silent):
    """In the process of an arm: sends stages and images to the process that started it."""

    def __init__(self, on_step: Callable[[], None] = lambda: None) -> None:
        """`on_step` is called after every training step."""
        self._on_step = on_step
        self._stage = ""
        self._images = 0
        self._sent = 0.0

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """A stage begins."""
        self._stage, self._images, self._sent = stage, 0, time.monotonic()
        send(["start", stage, total, done])

    def advance(self, images: int, *, bytes: int = 0, rejected: int = 0) -> None:
        """More images are done. Sent at most once in _EVERY seconds."""
        if self._stage == TRAIN:
            self._on_step()
        self._images += images
        if time.monotonic() - self._sent >= _EVERY:
            self._pass_on()

    def finish(self) -> None:
        """The stage is over."""
        self._pass_on()
        send(["finish"])

    def _pass_on(self) -> None:
        if self._images:
            send(["advance", self._images])
        self._images, self._sent = 0, time.monotonic()


class ArmBar:
    """In the starting process: shows the messages of one arm."""

    def __init__(self, name: str, steps: int, left: str, progress: Progress) -> None:
        """`left`: how long all other measurements will take, as text; empty if that is not known."""
        self._name, self._steps, self._left, self._progress = name, steps, left, progress
        self._total = self._done = 0
        self._training = False

    def show(self, message: Any) -> None:
        """Show one message."""
        kind, *values = message
        if kind == "start":
            stage, self._total, self._done = values
            self._training = stage == TRAIN
            name = self._name if self._training else f"{self._name}: {stage}"
            self._progress.start(name, self._total, self._done)
            self._beside()
        elif kind == "advance":
            self._done += values[0]
            self._beside()
            self._progress.advance(*values)
        elif kind == "finish":
            self._progress.finish()

    def _beside(self) -> None:
        step = f"step {self._steps * self._done // max(1, self._total)}/{self._steps}" if self._training else ""
        self._progress.aside(", ".join(filter(None, (step, self._left))))
