"""View recipes: how one image becomes the views a teacher sees. Plain data; drawing and applying live beside this file.

Every length is relative (a share of the image or of the view), so teacher and student can see the same view at different
resolutions. Numbers of the papers are in configs/views/*.yaml, not here: fields have no default that changes pixels.
"""

from typing import Annotated, Literal

from pydantic import Field

from kdcache.strict import Strict

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Plain(Strict):
    """One fixed view.

    `crop`: resize so that the shorter side is size / crop_pct, then cut the centre. `squash`: resize both sides, ratio lost.
    `pad`: fit inside and pad with black, centred.
    """

    kind: Literal["plain"] = "plain"
    fit: Literal["crop", "squash", "pad"]
    crop_pct: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    interpolation: Interpolation = "bicubic"


class Crop(Strict):
    """RandomResizedCrop: the share of the area and the aspect ratio are drawn, ten tries, then a centre crop."""

    scale: tuple[float, float]
    ratio: tuple[float, float]
    interpolation: Interpolation


class Jitter(Strict):
    """Colour jitter: factors drawn from [1 - x, 1 + x], in a drawn order; hue is a share of the circle."""

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    probability: Share = 1.0


class RandAugment(Strict):
    """RandAugment as timm writes it: `layers` operations, each applied with `probability`, at magnitude + N(0, std)."""

    layers: int
    magnitude: float
    std: float
    probability: Share
    increasing: bool
    """`inc1`: every operation grows stronger with the magnitude."""


class Erase(Strict):
    """Random erasing of a box with pixel noise, in image space, so that teacher and student see the same noise."""

    probability: Share
    area: tuple[float, float]
    ratio: tuple[float, float]


class Mix(Strict):
    """Mixup and CutMix with a partner from a seeded permutation of the dataset; `switch` = chance of CutMix when both are on."""

    probability: Share
    mixup_alpha: float
    cutmix_alpha: float
    switch: Share


class Augment(Strict):
    """Random views, each a pure function of (seed, image id, view number)."""

    kind: Literal["augment"] = "augment"
    crop: Crop
    flip: Share
    jitter: Jitter | None = None
    randaugment: RandAugment | None = None
    erase: Erase | None = None
    mix: Mix | None = None


Recipe = Annotated[Plain | Augment, Field(discriminator="kind")]
