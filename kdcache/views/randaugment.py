"""The fifteen RandAugment operations of timm's ImageNet recipes, and the meaning of magnitudes 0 to 10 for each.

Translations and the origin of shears are fractions of the view, so an operation does the same at every resolution. Uncovered
areas are filled with a fixed colour, ImageNet's mean.
"""

from typing import Final

from PIL import Image, ImageEnhance, ImageOps

from kdcache.views.recipe import Interpolation

NAMES: Final = (
    "autocontrast",
    "equalize",
    "invert",
    "rotate",
    "posterize",
    "solarize",
    "solarize_add",
    "color",
    "contrast",
    "brightness",
    "sharpness",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
)
"""Names of the operations, in timm's order. The random draw is a position in this list: append, never insert."""
TOP: Final = 10.0
FILL: Final = (124, 116, 104)
"""Colour of areas outside the picture after a geometric operation: round(255 x ImageNet mean), as in timm's training of
the teachers."""
_TURN = 30.0
_SHEAR = 0.3
_SHIFT = 0.45
_AFFINE_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.BICUBIC,  # Pillow does not support Lanczos for affine maps
}
_ENHANCERS = {
    "color": ImageEnhance.Color,
    "contrast": ImageEnhance.Contrast,
    "brightness": ImageEnhance.Brightness,
    "sharpness": ImageEnhance.Sharpness,
}


def strength(name: str, magnitude: float, negative: bool, increasing: bool) -> float | None:
    """The argument of an operation at a magnitude; None for operations without an argument.

    With `increasing`, every operation gets stronger as the magnitude grows. Without it, posterize and solarize get weaker,
    and the enhancement factors go from 0.1 to 1.9.
    """
    level = magnitude / TOP
    signed = -level if negative else level
    if name in ("autocontrast", "equalize", "invert"):
        return None
    if name == "rotate":
        return signed * _TURN
    if name.startswith("shear"):
        return signed * _SHEAR
    if name.startswith("translate"):
        return signed * _SHIFT
    if name == "posterize":
        bits = int(level * 4)
        return 4 - bits if increasing else bits
    if name == "solarize":
        threshold = int(level * 256)
        return 256 - threshold if increasing else threshold
    if name == "solarize_add":
        return int(level * 110)
    return max(0.1, 1.0 + signed * 0.9) if increasing else level * 1.8 + 0.1


def transform(image: Image.Image, name: str, value: float | None, interpolation: Interpolation) -> Image.Image:
    """Apply one operation to an RGB image, without changing its size."""
    if value is None:
        return _automatic(image, name)
    if name in _ENHANCERS:
        return _ENHANCERS[name](image).enhance(value)
    if name == "hue":
        return _turn_hue(image, value)
    if name in ("posterize", "solarize", "solarize_add"):
        return image.point(_table(name, int(value)) * 3)
    resample = _AFFINE_FILTERS[interpolation]
    if name == "rotate":
        return image.rotate(value, resample=resample, fillcolor=FILL)
    matrix = _matrix(name, value, image.width, image.height)
    return image.transform(image.size, Image.Transform.AFFINE, matrix, resample=resample, fillcolor=FILL)


def _automatic(image: Image.Image, name: str) -> Image.Image:
    if name == "autocontrast":
        return ImageOps.autocontrast(image)
    return ImageOps.equalize(image) if name == "equalize" else ImageOps.invert(image)


def _table(name: str, value: int) -> list[int]:
    """Look-up table with 256 new values. Pillow 13 cannot be used, because it refuses to posterize to 0 bits, as timm does."""
    if name == "posterize":
        return [i & ~(2 ** (8 - value) - 1) for i in range(256)]
    if name == "solarize":
        return [i if i < value else 255 - i for i in range(256)]
    return [min(255, i + value) if i < 128 else i for i in range(256)]


def _matrix(name: str, value: float, width: int, height: int) -> tuple[float, float, float, float, float, float]:
    """The affine map from coordinates of the result to coordinates of the image."""
    if name == "shear_x":
        return (1.0, value, 0.0, 0.0, 1.0, 0.0)
    if name == "shear_y":
        return (1.0, 0.0, 0.0, value, 1.0, 0.0)
    if name == "translate_x":
        return (1.0, 0.0, value * width, 0.0, 1.0, 0.0)
    return (1.0, 0.0, 0.0, 0.0, 1.0, value * height)


def _turn_hue(image: Image.Image, share: float) -> Image.Image:
    hue, saturation, value = image.convert("HSV").split()
    turned = hue.point([(i + round(share * 255)) % 256 for i in range(256)])
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")
