"""Truths: what is known about an image without a teacher, in named columns.

`Truths(source, cache.ids, cache.labels).read(("words",), rows)` reads those of a few rows at a time; no values are kept.
"""

from kdcache.images.truths.kinds import KINDS, Kind, kind_of
from kdcache.images.truths.of_rows import Truths
from kdcache.images.truths.regions import Cell, Region, Word
from kdcache.images.truths.texts import Question
from kdcache.images.truths.write import write_truths

__all__ = ["KINDS", "Cell", "Kind", "Question", "Region", "Truths", "Word", "kind_of", "write_truths"]
