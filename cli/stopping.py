"""Ctrl-C, SIGTERM and a terminal that is closed: one clean end and its exit code, whenever they come and however often.

The first one raises `Stop` in the main thread. Those that follow at once are the same wish, and the clean-up goes on; one that
comes after a second of it, or the fifth, ends the process as it stands. Nothing on disk minds: every file is whole or absent.
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
    """Somebody wants this to end; `code` is the exit code that tells how."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code


class Watch:
    """What was asked of this process by signals."""

    def __init__(self) -> None:
        self.code: int | None = None
        """the exit code, once a signal has come"""
        self.announced = False
        """the user has read that it stops"""
        self._final: int | None = None
        self._count, self._since = 0, 0.0

    def begin(self) -> None:
        """Meet the signals; those that were ignored when this process was started, as by nohup, stay ignored."""
        for number in _MET:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._meet)
        sys.unraisablehook = self._lost
        atexit.register(_no_more)  # the first that is registered is the last that is called

    def over(self, code: int) -> None:
        """The work is done and its answer is out: a signal while Python takes itself down changes neither."""
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
        """Say that it stops, unless that was said; of several processes one speaks for all."""
        if not self.announced and os.environ.get("RANK", "0") == "0":
            with suppress(OSError):  # nobody may be there to read it
                os.write(2, b"stopped\n")
        self.announced = True

    def _leave(self) -> None:
        assert self.code is not None
        self.announce()
        os._exit(self.code)

    def _lost(self, unraisable: "sys.UnraisableHookArgs") -> None:
        """A Stop that was raised where Python drops exceptions: the next signal raises it again."""
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            self._count = 0
        else:
            sys.__unraisablehook__(unraisable)


def _no_more() -> None:
    """Python gives signals back their defaults while it takes itself down: one of them would change the exit code."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _MET)


watch = Watch()
"""of this process"""
