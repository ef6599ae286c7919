"""Apply drawn parameters to an image: uint8 RGB in, uint8 RGB of the wanted size out, through Pillow and integers."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kdcache.views.drawn import Drawn, DrawnCrop
from kdcache.views.erase import erase
from kdcache.views.randaugment import transform
from kdcache.views.recipe import Interpolation, Plain

Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def apply(image: Pixels, drawn: Drawn, size: tuple[int, int]) -> Pixels:
    """The view at (height, width) `size`, not mixed with a partner (mixing needs a second image: see mix.py)."""
    picture = Image.fromarray(image)
    if drawn.plain is not None:
        return _plain(picture, drawn.plain, size)
    crop = drawn.crop
    assert crop is not None
    view = _resized(picture, crop_box(crop, picture.width, picture.height), size, crop.interpolation)
    if drawn.flip:
        view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for op in drawn.ops:
        view = transform(view, op.name, op.value, crop.interpolation)
    pixels = np.array(view, np.uint8)
    if drawn.erase is not None:
        erase(pixels, drawn.erase)
    return pixels


def crop_box(crop: DrawnCrop, width: int, height: int) -> Box:
    """Left, top, right, bottom as shares of the image: the first try that fits, else the largest centred box."""
    aspect = width / height
    for one in crop.tries:
        ratio = math.exp(one.log_ratio)
        across, down = math.sqrt(one.area * ratio / aspect), math.sqrt(one.area / ratio * aspect)
        if across <= 1.0 and down <= 1.0:
            left, top = one.x * (1.0 - across), one.y * (1.0 - down)
            return left, top, min(left + across, 1.0), min(top + down, 1.0)
    nearest = min(max(aspect, crop.ratio[0]), crop.ratio[1])
    across, down = min(1.0, nearest / aspect), min(1.0, aspect / nearest)
    return (1.0 - across) / 2.0, (1.0 - down) / 2.0, (1.0 + across) / 2.0, (1.0 + down) / 2.0


def _resized(picture: Image.Image, box: Box, size: tuple[int, int], interpolation: Interpolation) -> Image.Image:
    """The part of the picture inside a box of shares, resized to (height, width)."""
    width, height = picture.size
    left, top, right, bottom = box
    pixels = (left * width, top * height, right * width, bottom * height)
    return picture.resize((size[1], size[0]), _FILTERS[interpolation], box=pixels, reducing_gap=None)


def _plain(picture: Image.Image, recipe: Plain, size: tuple[int, int]) -> Pixels:
    """The fixed view: resize to size / crop_pct in the way `fit` says, then cut or pad around the centre.

    Cut and resize are one call with a box, so that a picture of one row never becomes a picture of a million.
    """
    whole = _fitted(picture, recipe, size)
    (height, width), (kept_height, kept_width) = whole, (min(whole[0], size[0]), min(whole[1], size[1]))
    top, left = round((height - kept_height) / 2.0), round((width - kept_width) / 2.0)
    box = (left / width, top / height, (left + kept_width) / width, (top + kept_height) / height)
    kept = np.array(_resized(picture, box, (kept_height, kept_width), recipe.interpolation), np.uint8)
    if (kept_height, kept_width) == size:
        return kept
    pixels = np.zeros((*size, 3), np.uint8)
    top, left = (size[0] - kept_height) // 2, (size[1] - kept_width) // 2
    pixels[top : top + kept_height, left : left + kept_width] = kept
    return pixels


def _fitted(picture: Image.Image, recipe: Plain, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the whole picture before anything is cut or padded, rounded as timm's evaluation does."""
    wanted = math.floor(size[0] / recipe.crop_pct), math.floor(size[1] / recipe.crop_pct)
    if recipe.fit == "squash":
        return wanted
    down, across = picture.height / wanted[0], picture.width / wanted[1]
    if recipe.fit == "pad":
        longest = max(down, across)
        return max(1, round(picture.height / longest)), max(1, round(picture.width / longest))
    if wanted[0] != wanted[1]:
        shortest = min(down, across)
        return round(picture.height / shortest), round(picture.width / shortest)
    if picture.height <= picture.width:
        return wanted[0], wanted[0] * picture.width // picture.height
    return wanted[0] * picture.height // picture.width, wanted[0]
