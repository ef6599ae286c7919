"""Renders labelled images for a student, in worker processes and full batches, and lists those that cannot be read.

Input: an image source, and the geometry and size of a student's input. Output: batches of rows with the output of a head for
them. A `Pictures` can be kept open for many passes, as in training.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from kdcache.base.progress import Progress
from kdcache.errors import Incomplete, Mismatch, UsageError
from kdcache.images import UNLABELLED, Listing, Source
from kdcache.images.paths import no_labels_hint
from kdcache.images.truths import Truths
from kdcache.render import Rendered, RenderPool
from kdcache.stream.examples import Examples
from kdcache.views.recipe import Plain
from students.base.truth_columns import read_examples, way_to_give
from students.base.truths import CLASS
from students.judging.judged import HeadCall, Sees
from students.judging.matching import Matching, match_classes

if TYPE_CHECKING:
    import torch

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Labelled:
    """The images of a source to judge on, in row order: the labelled ones, or all where no class is needed."""

    source: Source
    ids: list[str]
    labels: Rows
    """Class number of each row; UNLABELLED where no class is needed and it is unknown."""
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

    @cached_property
    def truths(self) -> Truths:
        """What is known of the images by row: `truths.read(("text",), rows)` reads that of a batch, and keeps nothing."""
        return Truths(self.source, self.ids, self.labels.astype(np.int32))

    def named_by(self, spec: Sees) -> "Labelled":
        """The same images with the student's class numbers. Raises Mismatch if their classes are not among the student's."""
        matched = match_classes(self.classes, int(self.labels.max()), spec.classes)
        numbers = matched.numbers[self.labels]
        return replace(self, labels=numbers, classes=spec.classes, matching=matched, own_classes=self.classes)


def labelled(source: Source, listing: Listing | None = None, *, truths: Sequence[str] = (CLASS,)) -> Labelled:
    """List the images of a source (or use `listing`) and keep those whose class is known.

    All images are kept if the needed `truths` have no classes.
    """
    listing = listing or source.scan()
    labels = np.full(len(listing), UNLABELLED, np.int32) if listing.labels is None else listing.labels
    rows = np.flatnonzero(labels != UNLABELLED) if CLASS in truths else np.arange(len(listing))
    if not len(rows):
        raise UsageError(
            f"the images of {source.name} have no labels",
            hint=no_labels_hint(source.spec(), "put them into one folder per class, or name other images with --data"),
        )
    return Labelled(
        source=source,
        ids=listing.ids.take(rows).to_pylist(),
        labels=labels[rows].astype(np.int64),
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
        rows = (
            range(first, min(first + self.batch, len(self.images))) for first in range(0, len(self.images), self.batch)
        )
        with self._progress(progress, stage, len(self.images)):
            for rendered, good in self._rendered(rows, progress):
                yield np.array([rendered.rows[place] for place in good], np.int64), head(rendered.pixels)[good]
        self._expect_some(len(self.images))

    def look_at_items(
        self, column: str, head: HeadCall, *, truths: Sequence[str] = (), progress: Progress, stage: str = "evaluate"
    ) -> "Iterator[tuple[dict[str, list[Any]], torch.Tensor]]":
        """(truths, output of `head`) of every item of a truth column, such as each of an image's `questions`, batch by batch.

        `head` is called with the pixels and the truths of a full batch, as a training step gets them: `column` has the item of
        each example, further `truths` what is known of its image; None stands in the padding. Those of unreadable images are
        left out.
        """
        counts = self.images.truths.counts(column)
        examples, names = Examples.of_items(counts), tuple(dict.fromkeys((column, *truths)))
        if not len(examples):
            raise Mismatch(f"none of the images of {self.images.source.name} has {column}", hint=way_to_give([column]))
        spans = [range(first, min(first + self.batch, len(examples))) for first in range(0, len(examples), self.batch)]
        rows = (examples.rows_of(np.array(span)).tolist() for span in spans)
        with self._progress(progress, stage, len(examples)):
            for span, (rendered, good) in zip(spans, self._rendered(rows, progress), strict=True):
                known = read_examples(self.images.truths, names, np.array(span), examples, column)
                padding = [None] * (self.batch - len(span))
                output = head(rendered.pixels, {name: [*values, *padding] for name, values in known.items()})
                yield {name: [values[place] for place in good] for name, values in known.items()}, output[good]
        self._expect_some(int(np.count_nonzero(counts)))

    def _rendered(self, rows: Iterator[Any], progress: Progress) -> Iterator[tuple[Rendered, list[int]]]:
        """Batches of these rows, each with the places of those that can be read."""
        for rendered in self._pool.batches((0, each) for each in rows):
            self.rejected |= {self.images.ids[row]: reason for row, reason in rendered.bad.items()}
            yield rendered, [place for place, row in enumerate(rendered.rows) if row not in rendered.bad]
            progress.advance(len(rendered.rows), rejected=len(rendered.bad))

    @contextmanager
    def _progress(self, progress: Progress, stage: str, count: int) -> Iterator[None]:
        self.rejected = {}
        progress.start(stage, count)
        yield
        progress.finish()

    def _expect_some(self, images: int) -> None:
        if len(self.rejected) == images:
            name, reason = next(iter(self.rejected.items()))
            raise Incomplete(
                f"none of the {images:,} images of {self.images.source.name} can be read; {name}: {reason}",
                hint="check the files",
            )
