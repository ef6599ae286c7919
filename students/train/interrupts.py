"""Handles Ctrl-C, SIGTERM and a closed terminal during training: the current step is finished and saved, then the signal takes
its usual effect."""

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
    """Whether a signal came. A further one takes effect at once if it comes after PATIENCE seconds, or if it is number MOST.

    Hang-ups never do: a closing terminal sends several.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._count, self._since = 0, 0.0
        self._before: dict[int, Any] = {}

    @property
    def here(self) -> bool:
        """True when this process has received a signal to stop."""
        return self._number is not None

    def go_on(self) -> None:
        """Let the signal take its usual effect, now that everything is saved."""
        number = self._number or signal.SIGTERM  # None: it came to another process of the training
        self._restore()
        signal.raise_signal(number)
        raise KeyboardInterrupt  # the handler of the signal returned; the training ends all the same

    def _watch(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # A signal that is ignored stays so: Ctrl-C in background jobs of a shell, hang-ups under nohup.
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
    """Watch for signals. Does nothing outside the main thread, where Python cannot handle them."""
    interrupted = Interrupted()
    if threading.current_thread() is threading.main_thread():
        interrupted._watch()
    try:
        yield interrupted
    finally:
        interrupted._restore()
