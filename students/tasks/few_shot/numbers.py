"""Settings of a few-shot benchmark, in a module that does not import torch."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from kdcache.base.strict import Strict
from kdcache.views.recipe import Amount, Fraction, Geometry, Positive
from students.base.types import Count


class FewShot(Strict):
    """Settings of a few-shot benchmark. The preset, with its sources, is configs/tasks/few-shot.yaml."""

    way: Annotated[int, Field(ge=2)]
    """Number of classes in an episode."""
    shots: tuple[Count, ...]
    """Numbers of support images per class; each is a separate measurement."""
    queries: Count
    """Number of query images per class."""
    episodes: Annotated[int, Field(ge=2)]
    geometry: Geometry
    """How an image is resized to the student's input."""
    epochs: Count
    batch: Count
    rate: Positive
    momentum: Fraction
    dampening: Fraction
    decay: Amount

    @model_validator(mode="after")
    def _has_shots(self) -> Self:
        if not self.shots or len(set(self.shots)) < len(self.shots):
            raise ValueError(f"shots are {list(self.shots)}: give each number once")
        return self
