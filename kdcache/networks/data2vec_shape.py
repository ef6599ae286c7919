"""The dimensions of a data2vec 2.0 image network, as presets, checkpoints and students record them."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from kdcache.base.strict import Strict
from kdcache.networks.bounds import MOST_LAYERS, MOST_WEIGHTS, Layers, Side, Width


class Data2VecShape(Strict):
    """Architecture of one size: widths, depths and input size."""

    image: Side
    patch: Side
    dim: Width
    heads: Width
    prenet: Annotated[int, Field(ge=0, le=MOST_LAYERS)]
    """Number of blocks inside the modality encoder."""
    depth: Layers
    """Number of shared blocks after the modality encoder."""
    targets: Layers
    """Number of last blocks that are averaged into a target."""

    @property
    def side(self) -> int:
        """Number of patches along one side."""
        return self.image // self.patch

    @property
    def hidden(self) -> int:
        """Width inside the FFN of its blocks."""
        return 4 * self.dim

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.dim % 4 or self.dim % self.heads:
            raise ValueError(
                f"{self.dim} channels cannot be divided among {self.heads} heads and four kinds of positions"
            )
        if self.image % self.patch:
            raise ValueError(f"an image of {self.image} pixels cannot be divided into patches of {self.patch}")
        if self.targets > self.depth:
            raise ValueError(f"targets of the last {self.targets} of {self.depth} blocks")
        numbers = 12 * self.dim**2 * (self.prenet + self.depth) + (self.side**2 + 3 * self.patch**2) * self.dim
        if numbers > MOST_WEIGHTS:
            raise ValueError(f"it has {numbers:,} weights, at most {MOST_WEIGHTS:,} can be")
        return self
