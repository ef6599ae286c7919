"""A ring of equal pixel buffers that several processes share.

The memory has no name: it is handed to workers as a file descriptor and is gone when the last process is, however that
one ended. It does not count against /dev/shm, which is small in containers.
"""

import math
import mmap
import os
import tempfile

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int, int, int]
"""Shape of a slot: (images, height, width, 3)."""


class Ring:
    """Slots of one shape each, in memory of this process that others can map."""

    def __init__(self, shape: Shape, slots: int) -> None:
        self.descriptor = _nameless_file()
        os.ftruncate(self.descriptor, slots * math.prod(shape))
        self.slots = mapped_slots(self.descriptor, shape, slots)

    def close(self) -> None:
        """Let go of the descriptor. Pixels stay readable for as long as somebody holds an array of them."""
        os.close(self.descriptor)


def mapped_slots(descriptor: int, shape: Shape, slots: int) -> NDArray[np.uint8]:
    """The slots of a ring as one array (slots, *shape); it holds the mapping."""
    return np.frombuffer(mmap.mmap(descriptor, 0), np.uint8).reshape(slots, *shape)


def _nameless_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("kdcache-views")
    descriptor, path = tempfile.mkstemp()
    os.unlink(path)
    return descriptor
