"""What identifies a student's network: written into its run, enough to build it again without the recipe it was trained with."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from kdcache.data2vec_shape import Data2VecShape
from kdcache.figures import plural
from kdcache.strict import Strict
from kdcache.views.recipe import Plain


class Blocks(Strict):
    """The blocks of a student that shares the encoder of a data2vec teacher."""

    depth: Annotated[int, Field(ge=1)]
    heads: Annotated[int, Field(ge=1)]
    hidden: Annotated[int, Field(ge=1)]
    """width inside the FFN"""
    alibi: bool = False
    """attention minds how far two patches are apart"""
    begin: Literal["random", "teacher"] = "random"
    """what the blocks are before the first step: `teacher` copies its first ones"""
    encoder: Data2VecShape
    """the numbers of the teacher's network, whose modality encoder it shares"""

    @model_validator(mode="after")
    def _fit_the_encoder(self) -> Self:
        if self.encoder.dim % self.heads:
            raise ValueError(f"{self.heads} heads cannot share {self.encoder.dim} channels")
        theirs = self.encoder
        alike = (self.heads, self.hidden) == (theirs.heads, theirs.hidden) and self.depth <= theirs.depth
        if self.begin == "teacher" and not alike:
            raise ValueError(
                f"blocks that begin as the teacher's need heads: {theirs.heads}, hidden: {theirs.hidden} and "
                f"depth: {theirs.depth} at most; these have {self.heads}, {self.hidden} and {self.depth}"
            )
        return self


class StudentSpec(Strict):
    """A small network, what it sees and what it can name."""

    name: str
    """the preset: tinyvit-5m"""
    family: str
    """which builder makes it: tinyvit"""
    network: str
    """the builder's own name for it: tiny_vit_5m_224 of timm"""
    windows: tuple[int, ...] = ()
    """side of the attention windows, a stage each"""
    blocks: Blocks | None = None
    """of a student without a classifier"""
    drop_path: float = 0.0
    input: tuple[int, int]
    """height and width it sees"""
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    geometry: Plain
    """how an image gets to that size when it is not augmented"""
    classes: tuple[str, ...]
    """names in the order of its logits; none where it has none"""

    @property
    def described(self) -> str:
        """What it is made of, in a few words."""
        if self.blocks is not None:
            encoder = self.blocks.encoder
            like = f"of {encoder.image} pixels in {encoder.patch}s, {encoder.dim} wide"
            return f"{plural(self.blocks.depth, 'block')} on the encoder of a data2vec teacher {like}"
        return f"{self.network} of timm"

    @property
    def begun(self) -> str:
        """What its weights are before the first step, when it begins with no other's."""
        if self.blocks is None:
            return "random weights"
        depth = self.blocks.depth
        first = (
            f"its first {plural(depth, 'block')}" if self.blocks.begin == "teacher" else plural(depth, "random block")
        )
        return f"its teacher's encoder, and {first}"

    @model_validator(mode="after")
    def _names_something(self) -> "StudentSpec":
        if self.blocks is None and len(self.classes) < 2:
            raise ValueError(f"{len(self.classes)} classes: a student needs at least 2")
        return self
