"""Ctrl-C, SIGTERM and a closed terminal in a training: the step in hand is finished and kept, then the signal does what it
would have done."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

PATIENCE = 1.0
"""Seconds after the first signal during which further signals count as the same one."""
MOST = 5
"""Number of signals after which the process stops at once."""


class Interrupted:
    """Whether a signal came. Others at once are the same wish; one after a second, or the fifth, acts as it stands.

    Hang-ups do not: a closing terminal sends several.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._count, self._since = 0, 0.0
        self._before: dict[int, Any] = {}

    @property
    def here(self) -> bool:
        """True when this process was told to stop."""
        return self._number is not None

    def go_on(self) -> None:
        """Let the signal take effect, now that everything is kept."""
        number = self._number or signal.SIGTERM  # None: it came to another process of the training
        self._restore()
        signal.raise_signal(number)
        raise KeyboardInterrupt  # whoever handled the signal came back; the training is over all the same

    def _watch(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # A shell ignores Ctrl-C for what runs in the background, nohup the hang-up.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._number is None:
            self._number, self._since = number, time.monotonic()
        if number == signal.SIGHUP:
            return
        self._count += 1
        if self._count >= MOST or time.monotonic() - self._since > PATIENCE:
            self.go_on()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


@contextmanager
def watching() -> Iterator[Interrupted]:
    """Watch for signals; in a thread that cannot, nothing is changed."""
    interrupted = Interrupted()
    if threading.current_thread() is threading.main_thread():
        interrupted._watch()
    try:
        yield interrupted
    finally:
        interrupted._restore()
