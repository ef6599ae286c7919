"""A few images of a larger source: a seeded choice, in the source's own order.

Input: any source and a number. Output: a source with that number of its images, with the same ids, labels and classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcache.base.dice import chosen
from kdcache.base.digest import json_digest
from kdcache.errors import UsageError
from kdcache.images.source import Listing, Source, WithTruths

_CHOICE = 0x0FE3


@dataclass(frozen=True)
class Few:
    """At most `count` images of another source."""

    of: Source
    count: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise UsageError(f"few needs at least one image, not {self.count}")

    @property
    def name(self) -> str:
        """The name of the other source and the number."""
        return f"{self.of.name}-{self.count}"

    def spec(self) -> dict[str, Any]:
        """Plain values, which contain those of the other source."""
        return {"kind": "few", "of": self.of.spec(), "count": self.count, "seed": self.seed}

    def scan(self) -> Listing:
        """The chosen rows of the other source's listing; all rows if there are no more than `count`."""
        return self.of_listing(self.of.scan())

    def of_listing(self, whole: Listing) -> Listing:
        """Like `scan`, from an existing listing of the other source."""
        rows = chosen(self.count, len(whole), self.seed, _CHOICE)
        return Listing(
            ids=whole.ids.take(rows),
            labels=None if whole.labels is None else whole.labels[rows],
            classes=whole.classes,
            fingerprint=json_digest(["few", self.count, self.seed, whole.fingerprint]),
        )

    def read(self, image_id: str) -> bytes | NDArray[np.uint8]:
        """Read an image from the other source."""
        return self.of.read(image_id)

    def truths(self) -> tuple[str, ...]:
        """The truth columns of the other source."""
        return self.of.truths() if isinstance(self.of, WithTruths) else ()

    def read_truths(self, names: Sequence[str], ids: Sequence[str]) -> Mapping[str, Sequence[Any]]:
        """Read truths from the other source."""
        return self.of.read_truths(names, ids) if isinstance(self.of, WithTruths) else {}
