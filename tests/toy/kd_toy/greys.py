"""The images: four squares of grey each, a pure function of split and number. Dark and light ones are two classes."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kdcache.errors import BadImage, UsageError
from kdcache.images.source import Listing

SIDE = 16
"""Height and width of a square, in pixels."""
SPLITS, CLASSES = ("train", "val"), ("dark", "light")


class Greys:
    """An image source."""

    def __init__(self, count: int = 64, split: str = "train") -> None:
        if split not in SPLITS or count < 1:
            raise UsageError(f"no greys are {count} of {split}", hint="greys:count=24,split=val")
        self.count, self.split = count, split
        self.name = f"greys-{split}"
        self._rows = {f"{split}/{row}": row for row in range(count)}

    def spec(self) -> dict[str, Any]:
        """What makes the same source again."""
        return {"kind": "greys", "count": self.count, "split": self.split}

    def scan(self) -> Listing:
        """Every image, its class and, as nothing else decides what they are, the split and the count."""
        ids = pa.array(self._rows, pa.large_string())
        labels = np.array([self._squares(row)[0] >= 128 for row in range(self.count)], np.int32)
        return Listing(ids, labels, CLASSES, f"{self.name}-{self.count}")

    def read(self, image_id: str) -> NDArray[np.uint8]:
        """Four squares."""
        if image_id not in self._rows:
            raise BadImage(f"{self.name} of {self.count} images has no image {image_id!r}")
        squares = self._squares(self._rows[image_id]).reshape(2, 2, 1)
        return np.ascontiguousarray(np.broadcast_to(squares.repeat(SIDE, 0).repeat(SIDE, 1), (2 * SIDE, 2 * SIDE, 3)))

    def _squares(self, row: int) -> NDArray[np.uint8]:
        return np.random.default_rng((SPLITS.index(self.split), row)).integers(0, 256, 4).astype(np.uint8)
