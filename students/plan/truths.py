"""The truth columns a training needs beside classes: found, checked and digested once, then read a batch at a time.

Input: what the student and its recipe need, and the opened images. Output: a `TrainingTruths`, which says what the examples of
the training are and reads the truths of a few of them. A column as a whole is never in memory: two numbers an item are kept.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kdcache.errors import Mismatch, UsageError
from kdcache.images.truths import Truths
from kdcache.stream.examples import Examples, Rows
from kdcache.views.recipe import Augment, Plain
from students.base.contracts import Needs
from students.base.truth_columns import (
    digests_again,
    expect_columns,
    expect_used,
    from_source,
    read_examples,
    way_to_give,
)
from students.plan.caches import TrainingCaches


@dataclass(frozen=True)
class TrainingTruths:
    """Truths of the training images by example. The default has none: an example is an image."""

    columns: Truths | None = None
    """Where they are read; None: no column but classes is needed."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Column -> digest of its values for all images, for the record of the run."""
    items: str | None = None
    """Column whose items are the examples; None: the images are."""
    examples: Examples | None = None
    """The examples, where they are items."""

    @property
    def unit(self) -> str:
        """What the examples are, for messages."""
        return self.items or "images"

    @property
    def images(self) -> int:
        """Number of images that have an example, where the examples are items; some of them may be unreadable."""
        return 0 if self.examples is None else len(np.unique(self.rows_of(np.arange(len(self.examples)))))

    def rows_of(self, examples: Rows) -> Rows:
        """Row of each example."""
        return examples if self.examples is None else self.examples.rows_of(examples)

    def read(self, names: Sequence[str], examples: Rows) -> dict[str, list[Any]]:
        """Column -> the value of each example; those of no others are in memory."""
        if self.columns is None or not names:
            return {}
        return read_examples(self.columns, names, examples, self.examples, self.items)

    def usable(self, caches: TrainingCaches | None, views: Sequence[int] | None, images: int) -> int:
        """Number of examples of readable images, in the view with the fewest; `images`: the number of those images."""
        if self.examples is None:
            return images
        if caches is None or caches.missing:
            return len(self.examples)
        wanted = [view for view in (range(caches.views) if views is None else views) if 0 <= view < caches.views]
        lost = (len(self.examples.of_rows(np.unique(caches.rejected(view)))) for view in wanted)
        return len(self.examples) - max(lost, default=0)


NO_TRUTHS = TrainingTruths()
"""Of a training that needs none: an example is an image."""


def truths_for(needs: Needs, known: Callable[[], Truths], views: Plain | Augment, *, student: str) -> TrainingTruths:
    """The truths of a new run; `known`: opens what is known of the images, in the order of their rows.

    Mismatch, which says how to give them, where the images have not what is needed.
    """
    if not (names := from_source(needs.columns)):
        return NO_TRUTHS
    columns = known()
    if isinstance(views, Augment) and views.mix is not None:
        raise Mismatch(
            f"{student} needs {' and '.join(names)} of one image, and these views mix two images into one",
            hint="another --recipe or --cache, whose views mix no images",
        )
    expect_columns(columns, names, student)
    return _of(columns, columns.digests(names), needs)


def truths_again(needs: Needs, known: Callable[[], Truths], recorded: Mapping[str, str]) -> TrainingTruths:
    """The truths of a run that goes on; Drift where they are not those it was begun with."""
    names = from_source(needs.columns)
    expect_used(recorded, names, "the run")
    if not names:
        return NO_TRUTHS
    columns = known()
    return _of(columns, digests_again(columns, names, recorded), needs)


def _of(columns: Truths, digests: Mapping[str, str], needs: Needs) -> TrainingTruths:
    if len(needs.items) > 1:
        raise UsageError(
            f"the examples of a training cannot be {' and '.join(needs.items)} at once",
            hint="another --recipe: all its objectives, and the student, must go by the same items",
        )
    if not needs.items:
        return TrainingTruths(columns, digests)
    (items,) = needs.items
    examples = Examples.of_items(columns.counts(items))
    if not len(examples):
        raise Mismatch(f"none of the images of {columns.images} has {items}", hint=way_to_give([items]))
    return TrainingTruths(columns, digests, items, examples)
