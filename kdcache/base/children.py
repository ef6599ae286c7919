"""Keep terminal signals away from child processes: this process handles them and ends its children itself.

Input: a block in which children are started. Output: they receive neither Ctrl-C nor the hang-up of a closed terminal.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_OF_THE_TERMINAL = {signal.SIGINT, signal.SIGHUP}


@contextmanager
def out_of_reach() -> Iterator[None]:
    """Block the signals while children start, which inherit that; here a signal is only delayed to the end of the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_THE_TERMINAL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
