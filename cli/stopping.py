"""Handles Ctrl-C, SIGTERM and a closed terminal: one clean end with its exit code, whenever and however often they come.

The first signal raises `Stop` in the main thread. Further ones within a second are ignored, so that the clean-up can finish; a
later one, or the fifth, ends the process at once. That is safe, because every file on disk is either complete or absent.
"""

import atexit
import os
import signal
import sys
import time
from contextlib import suppress
from types import FrameType

from students.train.interrupts import MOST, PATIENCE

_MET = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop(KeyboardInterrupt):
    """A signal asks the process to end; `code` is the exit code for it."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code


class Watch:
    """Handles the signals of this process."""

    def __init__(self) -> None:
        self.code: int | None = None
        """Exit code for the first signal; None while none has come."""
        self.announced = False
        """Whether the user has seen a message that the process stops."""
        self._final: int | None = None
        self._count, self._since = 0, 0.0

    def begin(self) -> None:
        """Install the handlers; signals that were ignored when this process started, as under nohup, stay ignored."""
        for number in _MET:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._meet)
        sys.unraisablehook = self._lost
        atexit.register(_no_more)  # registered first, so called last

    def over(self, code: int) -> None:
        """Called when the answer is printed: a signal during Python's shutdown no longer changes the exit code."""
        self._final = code

    def _meet(self, number: int, frame: FrameType | None) -> None:
        if self._final is not None:
            os._exit(self._final)
        self._count += 1
        if self._count == 1:
            self.code, self._since = 128 + number, time.monotonic()
            raise Stop(self.code)
        if self._count >= MOST or time.monotonic() - self._since > PATIENCE:
            self._leave()

    def announce(self) -> None:
        """Print that the process stops, once; of several processes only the first prints it."""
        if not self.announced and os.environ.get("RANK", "0") == "0":
            with suppress(OSError):  # stderr may be closed
                os.write(2, b"stopped\n")
        self.announced = True

    def _leave(self) -> None:
        assert self.code is not None
        self.announce()
        os._exit(self.code)

    def _lost(self, unraisable: "sys.UnraisableHookArgs") -> None:
        """Called for exceptions that Python drops, as in a destructor. If it was a Stop, the next signal raises another."""
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            self._count = 0
        else:
            sys.__unraisablehook__(unraisable)


def _no_more() -> None:
    """Ignore the signals in all threads. Python's shutdown would restore the default action of handled signals, which changes the
    exit code; ignored signals stay ignored."""
    for number in _MET:
        signal.signal(number, signal.SIG_IGN)


watch = Watch()
"""The handler of this process."""
