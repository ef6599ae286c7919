"""Reused buffers: a new array for each batch would cause page faults and be ten times slower.

Input: the fields and the number of rows. Output: slots, each with one array per field; page-aligned, or page-locked by torch,
so that a GPU can copy from them while the next batch is gathered.
"""

import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcache.codecs.codec import Field, Fields
from kdcache.errors import Unavailable


class Rings:
    """Keeps the slots of finished iterations, to reuse them in the next iteration that needs the same slots."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._spare: tuple[object, list[Fields]] | None = None

    @contextmanager
    def lend(self, count: int, rows: int, fields: Sequence[Field], *, pin: bool = False) -> Iterator[list[Fields]]:
        """Lend `count` slots of `rows` rows each. One unused set of slots is kept."""
        kind = (count, rows, tuple(fields), pin)
        with self._lock:
            spare, self._spare = self._spare, None
        slots = spare[1] if spare and spare[0] == kind else make_slots(count, rows, fields, pin=pin)
        try:
            yield slots
        finally:
            with self._lock:
                self._spare = (kind, slots)


def make_slots(count: int, rows: int, fields: Sequence[Field], *, pin: bool = False) -> list[Fields]:
    """`count` slots of `rows` rows each."""
    make = _pinned if pin else _aligned
    return [{f.name: make((rows, *f.shape), np.dtype(f.dtype)) for f in fields} for _ in range(count)]


def _aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory = mmap.mmap(-1, max(nbytes, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, dtype, int(np.prod(shape))).reshape(shape)


def _pinned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    import torch

    if not torch.cuda.is_available():
        raise Unavailable("pinned buffers need a CUDA device, and this machine has none", hint="leave out pin=True")
    nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory = torch.empty(nbytes, dtype=torch.uint8, pin_memory=True)
    pinned: NDArray[Any] = memory.numpy().view(dtype).reshape(shape)
    return pinned
