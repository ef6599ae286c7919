"""What identifies a student's network: written into its run, enough to build it again without the recipe it was trained with."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from kdcache.base.figures import plural
from kdcache.base.strict import Strict
from kdcache.networks.data2vec_shape import MOST_SIDE, MOST_WEIGHTS, Data2VecShape, Layers, Width
from kdcache.views.recipe import Plain

MOST_CLASSES = 1 << 17
"""Classes a student tells apart."""
MOST_WINDOW = 64
"""Side of an attention window."""
Side = Annotated[int, Field(ge=1, le=MOST_SIDE)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class Blocks(Strict):
    """The blocks of a student that shares the encoder of a data2vec teacher."""

    depth: Layers
    heads: Width
    hidden: Width
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
        seen = 1 + theirs.side**2
        numbers = self.depth * (4 * theirs.dim**2 + 2 * theirs.dim * self.hidden) + self.alibi * self.heads * seen**2
        if numbers > MOST_WEIGHTS:
            raise ValueError(f"its blocks have {numbers:,} weights, at most {MOST_WEIGHTS:,} can be")
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
    windows: tuple[Annotated[int, Field(ge=1, le=MOST_WINDOW)], ...] = ()
    """side of the attention windows, a stage each"""
    blocks: Blocks | None = None
    """of a student without a classifier"""
    drop_path: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    input: tuple[Side, Side]
    """height and width it sees"""
    mean: tuple[Finite, Finite, Finite]
    std: tuple[Positive, Positive, Positive]
    geometry: Plain
    """how an image gets to that size when it is not augmented"""
    classes: Annotated[tuple[str, ...], Field(max_length=MOST_CLASSES)]
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
