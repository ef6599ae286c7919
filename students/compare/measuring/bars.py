"""Passes the progress of an arm, which runs in its own process, to the process that started it.

Input, in the arm's process: calls on its `Progress`. Output, in the starting process: the same calls, with the arm's name in
the names of stages.
"""

import time
from typing import Any

from kdcache.base.own_process import send
from kdcache.base.progress import Progress, Silent

_EVERY = 0.2
"""Shortest time, in seconds, between two messages about images: a fast student takes hundreds of steps a second."""


class Relayed(Silent):
    """In the process of an arm: sends stages and images to the process that started it."""

    def __init__(self) -> None:
        self._images = 0
        self._sent = 0.0

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """A stage begins."""
        self._images, self._sent = 0, time.monotonic()
        send(["start", stage, total, done])

    def advance(self, images: int, *, bytes: int = 0, rejected: int = 0) -> None:
        """More images are done. Sent at most once in _EVERY seconds."""
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


def show(message: Any, arm: str, progress: Progress) -> None:
    """In the starting process: show a message as progress of that arm."""
    kind, *values = message
    if kind == "start":
        stage, total, done = values
        progress.start(f"{arm}: {stage}", total, done)
    elif kind == "advance":
        progress.advance(*values)
    elif kind == "finish":
        progress.finish()
