"""A ring of equal pixel buffers that several processes share.

The memory has no name: workers get it as a file descriptor, and it is freed when the last process ends, however that ends.
It does not count against /dev/shm, which is small in containers.
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
    """Slots of one shape, in shared memory that other processes can map."""

    def __init__(self, shape: Shape, slots: int) -> None:
        self.descriptor = _nameless_file()
        os.ftruncate(self.descriptor, slots * math.prod(shape))
        self.slots = mapped_slots(self.descriptor, shape, slots)

    def close(self) -> None:
        """Close the descriptor. Pixels stay readable as long as an array over them exists."""
        os.close(self.descriptor)


def mapped_slots(descriptor: int, shape: Shape, slots: int) -> NDArray[np.uint8]:
    """The slots of a ring as one array (slots, *shape), which keeps the mapping alive."""
    return np.frombuffer(mmap.mmap(descriptor, 0), np.uint8).reshape(slots, *shape)


def _nameless_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("kdcache-views")
    descriptor, path = tempfile.mkstemp()
    os.unlink(path)
    return descriptor
