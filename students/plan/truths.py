"""The truth columns a training needs beside classes: found, checked and digested once, then read a batch at a time.

Input: what the student and its recipe need, and the opened images. Output: a `TrainingTruths`, which says what the examples of
the training are and reads the truths of a few of them. A column as a whole is never in memory: two numbers an item are kept.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kdcache.cache import Cache
from kdcache.errors import Drift, Mismatch, UsageError
from kdcache.images.truths import KINDS, Truths, kind_of
from kdcache.images.truths.table import ARROW, IDS, LINES
from kdcache.stream.examples import Examples, Rows
from kdcache.views.recipe import Augment, Plain
from students.base.contracts import Needs


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

    def rows_of(self, examples: Rows) -> Rows:
        """Row of each example."""
        return examples if self.examples is None else self.examples.rows_of(examples)

    def read(self, names: Sequence[str], examples: Rows) -> dict[str, list[Any]]:
        """Column -> the value of each example, None where it is not known: the example's own item, or all of its image.

        Each image is read once, however many of its items are among the examples.
        """
        if self.columns is None or not names:
            return {}
        rows, place = np.unique(self.rows_of(examples), return_inverse=True)
        found = {name: [values[each] for each in place] for name, values in self.columns.read(names, rows).items()}
        items = None if self.examples is None else self.examples.items_of(examples)
        if self.items in found and items is not None:
            found[self.items] = [value[item] for value, item in zip(found[self.items], items.tolist(), strict=True)]
        return found

    def usable(self, cache: Cache | None, views: Sequence[int] | None, images: int) -> int:
        """Number of examples of readable images, in the view with the fewest; `images`: the number of those images."""
        if self.examples is None:
            return images
        if cache is None or cache.missing:
            return len(self.examples)
        wanted = [view for view in (range(cache.views) if views is None else views) if 0 <= view < cache.views]
        lost = (len(self.examples.of_rows(np.unique(cache.rejected(view)))) for view in wanted)
        return len(self.examples) - max(lost, default=0)


NO_TRUTHS = TrainingTruths()
"""Of a training that needs none: an example is an image."""


def truths_for(needs: Needs, known: Callable[[], Truths], views: Plain | Augment, *, student: str) -> TrainingTruths:
    """The truths of a new run; `known`: opens what is known of the images, in the order of their rows.

    Mismatch, which says how to give them, where the images have not what is needed.
    """
    if not (names := _from_source(needs)):
        return NO_TRUTHS
    columns = known()
    if isinstance(views, Augment) and views.mix is not None:
        raise Mismatch(
            f"{student} needs {' and '.join(names)} of one image, and these views mix two images into one",
            hint="another --recipe or --cache, whose views mix no images",
        )
    if missing := [name for name in names if name not in columns.names]:
        raise Mismatch(
            f"{student} needs the truth {' and '.join(missing)} of the images of {columns.images}, which have "
            f"{', '.join(columns.names) or 'no truths'}",
            hint=_way_to_give(missing),
        )
    return _read_once(columns, names, _items(needs))


def truths_again(needs: Needs, known: Callable[[], Truths], recorded: Mapping[str, str]) -> TrainingTruths:
    """The truths of a run that goes on; Drift where they are not those it was begun with."""
    if not (names := _from_source(needs)):
        return NO_TRUTHS
    columns = known()
    anew = "bring them back as they were, or start a new run"
    if missing := [name for name in names if name not in columns.names]:
        raise Drift(f"the images of {columns.images} have no truth {missing[0]} any more", hint=anew)
    try:
        found = _read_once(columns, names, _items(needs))
    except UsageError as error:  # they could be read when the run was begun
        raise Drift(f"truths of the images of {columns.images} have changed: {error.message}", hint=anew) from error
    if changed := [name for name in names if recorded.get(name) != found.digests[name]]:
        raise Drift(
            f"the truth {' and '.join(changed)} of the images of {columns.images} has changed: "
            f"{found.digests[changed[0]]}, the run began with {recorded.get(changed[0])}",
            hint=anew,
        )
    return found


def _from_source(needs: Needs) -> tuple[str, ...]:
    """The needed columns that a source has; classes come with the listing of the images."""
    return tuple(name for name in needs.columns if not kind_of(name).from_listing)


def _items(needs: Needs) -> str | None:
    if len(needs.items) > 1:
        raise UsageError(
            f"the examples of a training cannot be {' and '.join(needs.items)} at once",
            hint="another --recipe: all its objectives, and the student, must go by the same items",
        )
    return needs.items[0] if needs.items else None


def _read_once(columns: Truths, names: tuple[str, ...], items: str | None) -> TrainingTruths:
    """Go through the columns: their digests, and how many items each image has."""
    examples = None if items is None else Examples.of_items(columns.counts(items))
    if examples is not None and not len(examples):
        raise UsageError(f"none of the images has {items}, which are the examples", hint=_way_to_give([str(items)]))
    return TrainingTruths(columns, columns.digests(names), items, examples)


def _way_to_give(missing: Sequence[str]) -> str:
    what = " and ".join(f"{name} ({KINDS[name].what})" for name in missing)
    return (
        f"put {what} into {LINES} in the folder of the images, a line an image such as "
        f'{{"{IDS}": "a/1.jpg", "{missing[0]}": …}}, or into {ARROW}: see docs/sources.md'
    )
