"""The images a run looks at: where they come from, in which order rows stand, how their views are drawn, which classes they are.

Input: a cache, or a dataset that was scanned. Output: one record that the feed renders from and labels are looked up in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcache.cache import Cache
from kdcache.images.source import UNLABELLED, Listing, Source
from kdcache.store.index import ListedIds
from kdcache.store.plan import Dataset, ViewPlan
from kdcache.views import mix_of
from kdcache.views.recipe import Augment, Plain, drawable
from students.base.truths import CLASS
from students.plan.truths import NO_TRUTHS, TrainingTruths

Rows = NDArray[np.int64]
Classes = tuple[Rows, Rows, NDArray[np.float32]]
"""What the truth `class` is made of (students/base/truths.py)."""


@dataclass(frozen=True)
class TrainingImages:
    """Rows of images and the views of them."""

    source: Source
    ids: Sequence[str]
    labels: NDArray[np.int32] | None
    dataset: Dataset
    views: ViewPlan
    known: TrainingTruths = NO_TRUTHS
    """Truths of them beside their classes, and what the examples are."""

    @classmethod
    def of_cache(cls, cache: Cache, source: Source, known: TrainingTruths = NO_TRUTHS) -> "TrainingImages":
        """The images of a cache; `source` is where they lie on this machine."""
        return cls(source, cache.ids, cache.labels, cache.plan.dataset, cache.plan.views, known)

    @classmethod
    def of_listing(
        cls, source: Source, listing: Listing, views: ViewPlan, known: TrainingTruths = NO_TRUTHS
    ) -> "TrainingImages":
        """The images of a dataset without a cache."""
        return cls(source, ListedIds(listing), listing.labels, Dataset.of(source, listing), views, known)

    @property
    def recipe(self) -> Plain | Augment:
        """How views are drawn."""
        return drawable(self.views.recipe)

    @property
    def mixes(self) -> bool:
        """True when an image may be mixed with another."""
        return isinstance(self.recipe, Augment) and self.recipe.mix is not None

    @property
    def columns(self) -> dict[str, tuple[str, ...] | None]:
        """Truth columns of the training, each with its class names where it is one of classes."""
        named = self.labels is not None and self.dataset.classes is not None
        return {**({CLASS: self.dataset.classes} if named else {}), **dict.fromkeys(self.known.digests)}

    def truths(self, names: tuple[str, ...], examples: Rows, view: int) -> dict[str, Any]:
        """The columns of these names for some examples, in their order: classes as arrays, of others a list of values."""
        found = self.known.read([name for name in names if name != CLASS], examples)
        classes = {CLASS: self.classes(self.known.rows_of(examples), view)} if CLASS in names else {}
        return {**classes, **found}

    def classes(self, rows: Rows, view: int) -> Classes:
        """Class, class of the partner, and the share of the first: what is true of a view of each row that is not rejected."""
        assert self.labels is not None, "asked for true classes of images without any: checked before the first step"
        partners, shares = rows.copy(), np.ones(len(rows), np.float32)
        if self.mixes:
            for place, row in enumerate(rows.tolist()):
                partners[place], shares[place] = self._partner(row, view)
        first, second = (self.labels[which].astype(np.int64) for which in (rows, partners))
        second[shares == 1.0] = UNLABELLED
        return first, second, shares

    def _partner(self, row: int, view: int) -> tuple[int, float]:
        mixed = mix_of(
            self.recipe, seed=self.views.seed, image_id=self.ids[row], view=view, row=row, rows=len(self.ids)
        )
        return mixed or (row, 1.0)
