"""The published sizes of each family, from configs/teachers/*.yaml: every number of a paper or model card is there."""

from difflib import get_close_matches
from functools import cache
from typing import Any

from kdcache.base.strict import Strict
from kdcache.config.presets import load_preset
from kdcache.errors import UsageError
from kdcache.signals.teacher import Preprocess

CUSTOM = "custom"
"""the size of a checkpoint that brings its own configuration and is none of the published ones"""


class Size(Strict):
    """One published size."""

    hub: str | None = None
    """Hub repository of its checkpoint"""
    url: str | None = None
    """where it is published otherwise; told in the error, never fetched"""
    preprocess: Preprocess
    architecture: dict[str, Any]


class FamilyFacts(Strict):
    """All published sizes of one family."""

    default: str
    signals: tuple[str, ...] = ("logits",)
    """what a cache keeps when nobody says"""
    sizes: dict[str, Size]
    templates: dict[str, tuple[str, ...]] = {}
    """prompt templates by name, for families that read text"""

    def size(self, name: str, family: str) -> Size:
        """A size by name; a UsageError that suggests the nearest one."""
        if name not in self.sizes:
            near = get_close_matches(name, self.sizes, n=1, cutoff=0.5)
            raise UsageError(
                f"{family} has no size {name!r}; it has {', '.join(self.sizes)}",
                hint=f"did you mean {near[0]}?" if near else None,
            )
        return self.sizes[name]


@cache
def family_facts(family: str) -> FamilyFacts:
    """Read and check the facts of a family."""
    return load_preset("teachers", family, FamilyFacts)
