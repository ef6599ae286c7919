"""The numbers of a few-shot benchmark, apart from what measures it, so that reading them needs no torch."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from kdcache.base.strict import Strict
from kdcache.views.recipe import Amount, Fraction, Geometry, Positive
from students.base.types import Count


class FewShot(Strict):
    """The numbers of a few-shot benchmark. The preset is configs/tasks/few-shot.yaml, with its sources."""

    way: Annotated[int, Field(ge=2)]
    """classes an episode"""
    shots: tuple[Count, ...]
    """support images a class; each number is a measurement of its own"""
    queries: Count
    """images a class that are asked about"""
    episodes: Annotated[int, Field(ge=2)]
    geometry: Geometry
    """how an image gets to the student's size"""
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
