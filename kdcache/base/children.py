"""Processes that work for this one: a signal of the terminal is this one's business, and it ends them.

Input: a block in which they are started. Output: they never get Ctrl-C, nor the hang-up of a closed terminal.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_OF_THE_TERMINAL = {signal.SIGINT, signal.SIGHUP}


@contextmanager
def out_of_reach() -> Iterator[None]:
    """Children inherit what is blocked. Here it only waits until the block is left."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_THE_TERMINAL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
