"""The drawn parameters of one view: plain frozen values that determine it completely, before any pixel is read.

They do not depend on the size of the image or of the view: boxes are fractions, or cells of a fixed reference grid.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from kdcache.views.recipe import Interpolation, Plain

GRID = 224
"""Cells per side of the reference grid for erased boxes and their noise (TinyViT's reference size)."""


@dataclass(frozen=True)
class CropTry:
    """One candidate box: fraction of the area, log of width / height, and its position within the remaining space."""

    area: float
    log_ratio: float
    x: float
    y: float


@dataclass(frozen=True)
class DrawnCrop:
    """Candidate boxes in order. The first that fits is used, else the largest centre crop within `ratio`."""

    tries: tuple[CropTry, ...]
    ratio: tuple[float, float]
    interpolation: Interpolation


@dataclass(frozen=True)
class Op:
    """One operation and its argument (degrees, factor, threshold, fraction …); None if it takes none."""

    name: str
    value: float | None


@dataclass(frozen=True)
class ErasedBox:
    """A box in cells of the reference grid, and the seed of its noise."""

    top: int
    left: int
    bottom: int
    right: int
    noise: int


@dataclass(frozen=True)
class DrawnMix:
    """How a partner image is mixed in. `own`: share of the image itself in 65,536ths; `box`: in fractions of the view."""

    kind: Literal["mixup", "cutmix"]
    own: int
    box: tuple[float, float, float, float] | None
    """Rectangle (left, top, right, bottom) that comes from the partner image (CutMix only)."""

    @property
    def share_of_own(self) -> float:
        """Share of the image itself in the mixed label."""
        return self.own / 65536


@dataclass(frozen=True)
class Drawn:
    """The parameters of one view. Either `plain` is set, or `crop` and the other ingredients of the recipe."""

    plain: Plain | None = None
    crop: DrawnCrop | None = None
    flip: bool = False
    ops: tuple[Op, ...] = ()
    """RandAugment operations, then colour jitter, in the order in which they are applied."""
    erase: ErasedBox | None = None
    mix: DrawnMix | None = None

    def as_json(self) -> dict[str, Any]:
        """The parameters as plain JSON values, without the background, which is applied when the image is decoded."""
        values = asdict(self)
        values["plain"] = self.plain.model_dump(mode="json", exclude={"background"}) if self.plain else None
        return values
