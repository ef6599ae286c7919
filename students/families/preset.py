"""The published students, from configs/students/*.yaml."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from kdcache.base.strict import Strict
from kdcache.views.recipe import Geometry
from students.families.spec import Blocks, Side

Positive = Annotated[float, Field(gt=0.0)]


class Preset(Strict):
    """What a student is before its classes and its input size are known."""

    family: Literal["tinyvit", "data2vec"]
    network: str = ""
    """the builder's own name for it"""
    blocks: Blocks | None = None
    """of a student of data2vec"""
    recipe: str | None = None
    """the recipe it is meant for; left out: the one for the images at hand"""
    input: Side
    """side it is meant for"""
    drop_path: Annotated[float, Field(ge=0.0, lt=1.0)]
    mean: tuple[float, float, float]
    std: tuple[Positive, Positive, Positive]
    geometry: Geometry
    """how an image gets to its size when it is not augmented"""
    enlarged: Geometry
    """the same where the size is larger than `input`"""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.family == "data2vec") != (self.blocks is not None):
            raise ValueError("a student of data2vec says its blocks, and no other does")
        return self
