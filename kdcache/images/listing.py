"""Build a Listing one image at a time, without keeping a Python object for each image.

Input: ids in row order, each with its size in bytes and a label. Output: a Listing. Every 65,536 ids are packed into Arrow, so
14 million ids take little more memory than the bytes of their names.
"""

from array import array

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from kdcache.images.source import UNLABELLED, Listing

_CHUNK = 1 << 16
"""Number of ids packed at a time; part of the fingerprint, so it never changes."""


class Lister:
    """Collects (id, size, label) of each image, and computes the digest of ids and sizes."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._sizes: array[int] = array("q")
        self._labels: array[int] = array("i")
        self._chunks: list[pa.Array] = []
        self._state = xxhash.xxh3_128()

    def add(self, image_id: str, size: int, label: int = UNLABELLED) -> None:
        """Add an image. The size is -1 if it is unknown."""
        self._ids.append(image_id)
        self._sizes.append(size)
        self._labels.append(label)
        if len(self._ids) == _CHUNK:
            self._pack()

    def __len__(self) -> int:
        return len(self._labels)

    def _pack(self) -> None:
        packed = pa.array(self._ids, pa.large_string())
        _, offsets, text = packed.buffers()
        ends: NDArray[np.int64] = np.frombuffer(offsets, "<i8", len(packed) + 1)
        self._state.update(np.diff(ends).astype("<i8").data)
        self._state.update(memoryview(text or b"")[: int(ends[-1])])
        self._state.update(np.asarray(self._sizes).astype("<i8").data)
        self._chunks.append(packed)
        self._ids, self._sizes = [], array("q")

    def finish(self, *, labelled: bool, classes: tuple[str, ...] | None = None) -> Listing:
        """The listing; with `labelled` it has the labels that were added, else none."""
        if self._ids:
            self._pack()
        ids = pa.concat_arrays(self._chunks) if self._chunks else pa.array([], pa.large_string())
        self._chunks = []
        labels = np.array(self._labels, np.int32) if labelled else None
        return Listing(ids, labels, classes, self._state.hexdigest())
