"""The embedded generated set `shapes`: a stand-in for natural images that needs no download.

Input: a split, a size, a seed. Output: an image source whose pictures are painted when they are read. A class is a shape
and a surface ("red ring", "striped star"): ten shapes times ten surfaces, so neither alone determines the class. Every picture
is a pure function of (seed, split, index); at another size it shows the same things, finer or coarser.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kdcache.base import limits
from kdcache.base.digest import json_digest
from kdcache.base.figures import whole
from kdcache.errors import BadImage, UsageError
from kdcache.images.shapes.composition import CLASSES, SPLITS, compose, label_of
from kdcache.images.shapes.paint import paint
from kdcache.images.source import Listing

VERSION = 1
"""Version of the generated pictures; it is increased whenever any picture changes."""
COUNTS = {"train": 20_000, "val": 2_000}
SMALLEST, LARGEST = 32, 512

__all__ = ["CLASSES", "COUNTS", "VERSION", "Shapes"]


class Shapes:
    """Generated pictures of one large shape each, among clutter, in 100 named classes."""

    def __init__(self, split: str = "train", size: int = 64, count: int | None = None, seed: int = 0) -> None:
        if split not in SPLITS:
            raise UsageError(f"shapes has no split {split!r}; it has {' and '.join(SPLITS)}")
        if not SMALLEST <= size <= LARGEST:
            raise UsageError(f"shapes can be painted at {SMALLEST} to {LARGEST} pixels, not at {size}")
        self.split, self.size, self.seed = split, size, seed
        self.count = COUNTS[split] if count is None else count
        if not 1 <= self.count <= limits.PAINTED:
            raise UsageError(f"shapes can be 1 to {limits.PAINTED:,} images, not {self.count:,}")

    @property
    def name(self) -> str:
        """`shapes-train` or `shapes-val`."""
        return f"shapes-{self.split}"

    def spec(self) -> dict[str, Any]:
        """All parameters as plain values."""
        return {"kind": "shapes", "split": self.split, "size": self.size, "count": self.count, "seed": self.seed}

    def scan(self) -> Listing:
        """Ids and labels in order of the index; no picture is painted."""
        ids = pa.array((f"{self.split}/{index:06d}" for index in range(self.count)), pa.large_string())
        labels = np.fromiter((label_of(index) for index in range(self.count)), np.int32, self.count)
        return Listing(ids, labels, CLASSES, json_digest({**self.spec(), "version": VERSION}), order_doubt=None)

    def read(self, image_id: str) -> NDArray[np.uint8]:
        """Paint one picture."""
        index = self._index_of(image_id)
        return paint(compose(self.seed, self.split, index), self.size)

    def truths(self) -> tuple[str, ...]:
        """The one truth column: `description`."""
        return ("description",)

    def read_truths(self, names: Sequence[str], ids: Sequence[str]) -> Mapping[str, Sequence[Any]]:
        """Descriptions made from the class; no picture is painted."""
        described = [f"a {CLASSES[label_of(self._index_of(image_id))]}" for image_id in ids]
        return dict.fromkeys(names, described)

    def _index_of(self, image_id: str) -> int:
        index = whole(image_id.removeprefix(f"{self.split}/"))
        if index is not None and index < self.count and image_id == f"{self.split}/{index:06d}":
            return index
        raise BadImage(f"{self.name} of {self.count:,} images has no image {image_id!r}")
