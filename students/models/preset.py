"""The published students, from configs/students/*.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from kdcache.strict import Strict
from kdcache.views.recipe import Plain


class Preset(Strict):
    """What a student is before its classes and its input size are known."""

    family: Literal["tinyvit"]
    network: str
    """the builder's own name for it"""
    input: Annotated[int, Field(ge=1)]
    """side it is meant for"""
    drop_path: Annotated[float, Field(ge=0.0, lt=1.0)]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    geometry: Plain
    """how an image gets to its size when it is not augmented"""
    enlarged: Plain
    """the same where the size is larger than `input`"""
