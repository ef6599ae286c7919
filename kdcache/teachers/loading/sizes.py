"""The published sizes of each family, from configs/teachers/*.yaml, which have all numbers of papers and model cards."""

from difflib import get_close_matches
from functools import cache
from typing import Any

from kdcache.base.strict import Strict
from kdcache.config.presets import load_preset
from kdcache.errors import UsageError
from kdcache.signals.teacher import Preprocess

CUSTOM = "custom"
"""Name of the size of a checkpoint whose configuration matches no published size."""


class Size(Strict):
    """One published size."""

    hub: str | None = None
    """Hub repository of the checkpoint."""
    url: str | None = None
    """Where the checkpoint is published if not on the Hub; shown in the error, never fetched."""
    preprocess: Preprocess
    architecture: dict[str, Any]


class FamilyFacts(Strict):
    """All published sizes of one family."""

    default: str
    signals: tuple[str, ...] = ("logits",)
    """Signals that a cache stores by default."""
    sizes: dict[str, Size]
    templates: dict[str, tuple[str, ...]] = {}
    """Prompt templates by name, for families that read text."""

    def size(self, name: str, family: str) -> Size:
        """A size by name; UsageError with a suggestion if there is none of that name."""
        if name not in self.sizes:
            near = get_close_matches(name, self.sizes, n=1, cutoff=0.5)
            raise UsageError(
                f"{family} has no size {name!r}; it has {', '.join(self.sizes)}",
                hint=f"did you mean {near[0]}?" if near else None,
            )
        return self.sizes[name]


@cache
def family_facts(family: str) -> FamilyFacts:
    """Read and check the published sizes of a family."""
    return load_preset("teachers", family, FamilyFacts)
