"""The contract of every image source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kdcache.images.order import OWN_ORDER

UNLABELLED = -1


@dataclass(frozen=True)
class Listing:
    """All images of a source, in a stable order."""

    ids: pa.Array
    """Image ids in row order, unique, an Arrow large_string array."""
    labels: NDArray[np.int32] | None
    """Class number of each row, UNLABELLED where unknown; None when the source has no labels."""
    classes: tuple[str, ...] | None
    """Class names, by class number."""
    fingerprint: str
    """Digest of the listing, which changes when an image is added, removed, renamed or changed in size."""
    order_doubt: str | None = OWN_ORDER
    """Why other programs may number these images differently; None if all programs number this source in the same
    way.
    """

    def __len__(self) -> int:
        return len(self.ids)


class Source(Protocol):
    """A source of images. It is cheap to pickle, because it does not keep its listing."""

    @property
    def name(self) -> str:
        """A short name for folders and messages, such as `shapes-train` or `flowers`."""

    def spec(self) -> dict[str, Any]:
        """Plain JSON values from which `open_source` makes the same source again."""

    def scan(self) -> Listing:
        """List all images. This is the only expensive pass over the source."""

    def read(self, image_id: str) -> bytes | NDArray[np.uint8]:
        """Encoded bytes of one image (or, for generated sets, its RGB pixels, height x width x 3).

        Raises BadImage when the source holds a broken record, Unavailable when the source no longer exists.
        """


@runtime_checkable
class WithTruths(Protocol):
    """A source that also has truths about its images, in columns (see images/truths/). Other sources have at most labels."""

    def truths(self) -> tuple[str, ...]:
        """Names of its truth columns, each one of the kinds of truths; empty if it has none."""

    def read_truths(self, names: Sequence[str], ids: Sequence[str]) -> Mapping[str, Sequence[Any]]:
        """Column name -> the plain JSON value of each image, None where unknown. Only the named columns and images are read."""
