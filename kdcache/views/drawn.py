"""What was drawn for one view: plain frozen values that say everything, before any pixel is read.

Nothing here knows the size of the image or of the view: boxes are shares, or cells of a fixed reference grid.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from kdcache.views.recipe import Interpolation, Plain

GRID = 224
"""Cells a side of the reference grid that erased boxes and their noise lie on (TinyViT's reference size)."""


@dataclass(frozen=True)
class CropTry:
    """One candidate box: share of the area, log of width / height, and where it lies in the room that is left."""

    area: float
    log_ratio: float
    x: float
    y: float


@dataclass(frozen=True)
class DrawnCrop:
    """Candidates in the order they are tried; the first that fits wins, else the largest centre crop within `ratio`."""

    tries: tuple[CropTry, ...]
    ratio: tuple[float, float]
    interpolation: Interpolation


@dataclass(frozen=True)
class Op:
    """One operation and its one argument (degrees, factor, threshold, share …); None where it takes none."""

    name: str
    value: float | None


@dataclass(frozen=True)
class ErasedBox:
    """A box in cells of the reference grid, and the number its noise is made from."""

    top: int
    left: int
    bottom: int
    right: int
    noise: int


@dataclass(frozen=True)
class DrawnMix:
    """How a partner would be mixed in. `own` is the share of the image itself in 65,536ths, the box is in shares."""

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
    """One view. Either `plain` is set, or `crop` and what else the recipe requested."""

    plain: Plain | None = None
    crop: DrawnCrop | None = None
    flip: bool = False
    ops: tuple[Op, ...] = ()
    """RandAugment operations, then colour jitter, in the order in which they are applied."""
    erase: ErasedBox | None = None
    mix: DrawnMix | None = None

    def as_json(self) -> dict[str, Any]:
        """The same as plain JSON values, without the background: an image lies on it before anything is applied."""
        values = asdict(self)
        values["plain"] = self.plain.model_dump(mode="json", exclude={"background"}) if self.plain else None
        return values
