"""What every image source promises, whatever it reads from."""

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
    """All images of a source in their one stable order."""

    ids: pa.Array
    """Image ids in row order, unique, an Arrow large_string array."""
    labels: NDArray[np.int32] | None
    """Class number of each row, UNLABELLED where unknown; None when the source has no labels."""
    classes: tuple[str, ...] | None
    """Class names, by class number."""
    fingerprint: str
    """Digest of the listing, which changes when an image is added, removed, renamed or changed in size."""
    order_doubt: str | None = OWN_ORDER
    """Why another program's row numbers may refer to other images; None where every program numbers this source
    alike.
    """

    def __len__(self) -> int:
        return len(self.ids)


class Source(Protocol):
    """Where images come from. Cheap to pickle: the listing is never kept inside."""

    @property
    def name(self) -> str:
        """A short name for folders and messages, such as `shapes-train` or `flowers`."""

    def spec(self) -> dict[str, Any]:
        """Plain JSON values from which `open_source` makes the same source again."""

    def scan(self) -> Listing:
        """List everything. The one expensive pass."""

    def read(self, image_id: str) -> bytes | NDArray[np.uint8]:
        """Encoded bytes of one image (or, for generated sets, its RGB pixels, height x width x 3).

        Raises BadImage when the source itself holds a broken record, Unavailable when the source has gone.
        """


@runtime_checkable
class WithTruths(Protocol):
    """A source that also knows truths of its images, in columns (see images/truths/). Others have labels at most."""

    def truths(self) -> tuple[str, ...]:
        """Names of the columns there are, each one of the kinds of truths; none where nothing is known."""

    def read_truths(self, names: Sequence[str], ids: Sequence[str]) -> Mapping[str, Sequence[Any]]:
        """Column name -> a plain JSON value of each image, None where it is not known. Only these are read."""
