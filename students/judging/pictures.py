"""Renders labelled images for a student, in worker processes and full batches, and lists those that cannot be read.

Input: an image source, and the geometry and size of a student's input. Output: batches of rows with the output of a head for
them. A `Pictures` can be kept open for many passes, as in training.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from kdcache.base.progress import Progress
from kdcache.errors import Incomplete, UsageError
from kdcache.images import UNLABELLED, Listing, Source
from kdcache.images.paths import no_labels_hint
from kdcache.render import RenderPool
from kdcache.views.recipe import Plain
from students.judging.judged import HeadCall, Sees
from students.judging.matching import Matching, match_classes

if TYPE_CHECKING:
    import torch

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Labelled:
    """The labelled images of a source, in row order."""

    source: Source
    ids: list[str]
    labels: Rows
    """Class number of each row."""
    classes: tuple[str, ...] | None
    """Class names by number."""
    fingerprint: str
    listing: Listing
    """All images of the source, as its one scan listed them."""
    unlabelled: int
    """Number of images left out because their class is unknown."""
    matching: Matching | None = None
    """How the class numbers were matched with a student's; None: they are the dataset's own."""
    own_classes: tuple[str, ...] | None = None
    """Class names by the dataset's own numbers, before matching; None if no matching was done."""

    def __len__(self) -> int:
        return len(self.ids)

    def named_by(self, spec: Sees) -> "Labelled":
        """The same images with the student's class numbers. Raises Mismatch if their classes are not among the student's."""
        matched = match_classes(self.classes, int(self.labels.max()), spec.classes)
        numbers = matched.numbers[self.labels]
        return replace(self, labels=numbers, classes=spec.classes, matching=matched, own_classes=self.classes)


def labelled(source: Source, listing: Listing | None = None) -> Labelled:
    """List the images of a source (or use `listing`) and keep those whose class is known."""
    listing = listing or source.scan()
    rows = np.flatnonzero(listing.labels != UNLABELLED) if listing.labels is not None else np.zeros(0, np.int64)
    if listing.labels is None or not len(rows):
        raise UsageError(
            f"the images of {source.name} have no labels",
            hint=no_labels_hint(source.spec(), "put them into one folder per class, or name other images with --data"),
        )
    return Labelled(
        source=source,
        ids=listing.ids.take(rows).to_pylist(),
        labels=listing.labels[rows].astype(np.int64),
        classes=listing.classes,
        fingerprint=listing.fingerprint,
        listing=listing,
        unlabelled=len(listing) - len(rows),
    )


class Pictures:
    """Labelled images, rendered for one student again and again. Use it in a with statement."""

    def __init__(
        self, images: Labelled, spec: Sees, *, workers: int, batch: int, geometry: Plain | None = None
    ) -> None:
        self.images, self.spec, self.batch = images, spec, batch
        self.rejected: dict[str, str] = {}
        """Image id -> why it could not be read, in the last pass."""
        self._pool = RenderPool(
            images.source,
            geometry or spec.geometry,
            seed=0,
            size=spec.input,
            ids=images.ids,
            workers=workers,
            batch=batch,
        )

    def __enter__(self) -> Self:
        self._pool.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.__exit__(kind, error, trace)

    def of(self, images: Labelled) -> "Pictures":
        """The same images under other class numbers, rendered by the same pool."""
        assert images.ids == self.images.ids, "the pool renders only these ids"
        same = copy.copy(self)
        same.images, same.rejected = images, {}
        return same

    def look(
        self, head: HeadCall, *, progress: Progress, stage: str = "evaluate"
    ) -> "Iterator[tuple[Rows, torch.Tensor]]":
        """Yields (rows, output of `head` for them) for every batch, in row order, without unreadable rows.

        Every batch is full, the last one padded with black, so that the output for an image does not depend on the number of
        images.
        """
        self.rejected = {}
        progress.start(stage, len(self.images))
        for rendered in self._pool.batches(self._requests()):
            self.rejected |= {self.images.ids[row]: reason for row, reason in rendered.bad.items()}
            good = [place for place, row in enumerate(rendered.rows) if row not in rendered.bad]
            yield np.array([rendered.rows[place] for place in good], np.int64), head(rendered.pixels)[good]
            progress.advance(len(rendered.rows), rejected=len(rendered.bad))
        progress.finish()
        if len(self.rejected) == len(self.images):
            name, reason = next(iter(self.rejected.items()))
            raise Incomplete(
                f"none of the {len(self.images):,} images of {self.images.source.name} can be read; {name}: {reason}",
                hint="check the files",
            )

    def _requests(self) -> Iterator[tuple[int, range]]:
        for first in range(0, len(self.images), self.batch):
            yield 0, range(first, min(first + self.batch, len(self.images)))
