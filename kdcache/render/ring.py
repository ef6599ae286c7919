"""A ring of equal pixel buffers that several processes share.

The memory has no name: it is handed to workers as a file descriptor and is gone when the last process is, however that
one ended. It does not count against /dev/shm, which is small in containers.
"""

import mmap
import os
import sys
import tempfile

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int, int, int]
"""images, height, width, 3"""


class Ring:
    """Slots of one shape each, and behind them a note of bytes for whoever maps the memory."""

    def __init__(self, shape: Shape, slots: int, note: bytes) -> None:
        self.note_start = slots * int(np.prod(shape))
        self.descriptor = _nameless_file()
        os.ftruncate(self.descriptor, self.note_start + len(note))
        self._memory = mmap.mmap(self.descriptor, 0)
        self._memory[self.note_start :] = note
        self.slots = slots_in(self._memory, shape, slots)

    def close(self) -> None:
        """Let go of the descriptor. Pixels stay readable for as long as somebody holds an array of them."""
        os.close(self.descriptor)


def slots_in(memory: mmap.mmap, shape: Shape, slots: int) -> NDArray[np.uint8]:
    """The slots at the start of a mapped ring as one array (slots, *shape)."""
    size = slots * int(np.prod(shape))
    return np.frombuffer(memory, np.uint8, count=size).reshape(slots, *shape)


def _nameless_file() -> int:
    if sys.platform == "linux":
        return os.memfd_create("kdcache-views")
    descriptor, path = tempfile.mkstemp()
    os.unlink(path)
    return descriptor
