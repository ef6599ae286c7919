"""Dimensions of a data2vec student, in a preset and in a run."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from kdcache.base.figures import plural
from kdcache.base.strict import Strict
from kdcache.networks.bounds import MOST_WEIGHTS, Layers, Width
from kdcache.networks.data2vec_shape import Data2VecShape
from students.families.preset import Preset
from students.families.spec import DropPath, StudentSpec

ENCODER, BLOCKS = "encoder.", "blocks."
"""Prefixes of the tensor names of the encoder and of the blocks, the same in student and teacher."""


class Blocks(Strict):
    """The blocks of a student that shares the encoder of a data2vec teacher."""

    depth: Layers
    """Number of transformer blocks."""
    heads: Width
    """Number of attention heads in a block."""
    hidden: Width
    """Hidden width of the FFN."""
    alibi: bool = False
    """Whether attention has a bias that decreases with the distance between two patches (ALiBi)."""
    begin: Literal["random", "teacher"] = "random"
    """Initial weights of the blocks: `teacher` copies the teacher's first blocks."""
    encoder: Data2VecShape
    """Shape of the teacher's network, whose modality encoder the student shares."""

    @model_validator(mode="after")
    def _fit_the_encoder(self) -> Self:
        if self.encoder.dim % self.heads:
            raise ValueError(f"{self.heads} heads cannot divide {self.encoder.dim} channels")
        theirs = self.encoder
        seen = 1 + theirs.side**2
        numbers = self.depth * (4 * theirs.dim**2 + 2 * theirs.dim * self.hidden) + self.alibi * self.heads * seen**2
        if numbers > MOST_WEIGHTS:
            raise ValueError(f"its blocks would have {numbers:,} weights, and {MOST_WEIGHTS:,} are allowed")
        alike = (self.heads, self.hidden) == (theirs.heads, theirs.hidden) and self.depth <= theirs.depth
        if self.begin == "teacher" and not alike:
            raise ValueError(
                f"blocks that start from the teacher's need heads: {theirs.heads}, hidden: {theirs.hidden} and "
                f"depth: {theirs.depth} at most; these have {self.heads}, {self.hidden} and {self.depth}"
            )
        return self


class Data2VecPreset(Preset):
    """A file of configs/students with `family: data2vec`."""

    blocks: Blocks
    """Shape of the student's blocks and of the encoder below them."""
    drop_path: DropPath = 0.0
    """Stochastic depth rate, always 0: this family has none."""


class Data2VecSpec(StudentSpec):
    """A student without a classifier, on the encoder of a teacher."""

    left_out: ClassVar = frozenset({"network", "windows", "drop_path"})
    blocks: Blocks
    """Shape of the student's blocks and of the encoder below them."""
    network: Literal[""] = ""
    """Always empty, like the next two: fields of another family, which the first release wrote into every run."""
    windows: Annotated[tuple[int, ...], Field(max_length=0)] = ()
    drop_path: Annotated[float, Field(ge=0.0, le=0.0)] = 0.0

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if self.input != (self.blocks.encoder.image,) * 2:
            raise ValueError(
                f"its input is {self.input[0]}x{self.input[1]}, but its encoder takes {self.blocks.encoder.image} pixels"
            )
        if self.classes:
            raise ValueError(f"it has {len(self.classes)} classes, but no classifier")
        return self

    @property
    def described(self) -> str:
        """A few words about its blocks and its encoder."""
        encoder = self.blocks.encoder
        like = f"of {encoder.image} pixels in {encoder.patch}s, {encoder.dim} wide"
        return f"{plural(self.blocks.depth, 'block')} on the encoder of a data2vec teacher {like}"

    @property
    def begun(self) -> str:
        """Origin of the initial weights: the teacher's encoder, and the teacher's first blocks or random ones."""
        depth = self.blocks.depth
        first = (
            f"its first {plural(depth, 'block')}" if self.blocks.begin == "teacher" else plural(depth, "random block")
        )
        return f"its teacher's encoder, and {first}"

    @property
    def layers(self) -> int:
        """Number of layers in the output `layers`: one per block."""
        return self.blocks.depth
