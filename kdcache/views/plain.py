"""Plain views: a picture is fitted to a size by cropping, squashing or padding, bit for bit like the teacher's publisher does.

Input: a picture, a geometry, (height, width). Output: uint8 pixels. docs/preprocessing.md lists what each publisher does.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kdcache.views.recipe import Interpolation, Plain, Shrink

Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]
Sides = tuple[int, int]
"""(height, width) in pixels."""

MOST_PIXELS = 1 << 27
"""Largest picture, in pixels, that is resized as a whole before it is cropped (half a GiB in Pillow). A larger one (a long
strip) is resized and cropped in one step."""

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def plain_view(picture: Image.Image, recipe: Plain, size: Sides) -> Pixels:
    """The fixed view of a picture at (height, width) `size`."""
    if recipe.turn and _lies_across(picture, size):
        picture = picture.transpose(Image.Transpose.ROTATE_270)
    if recipe.shrink is not None:
        first = _shorter_side(picture, min(size))
        if first[0] * first[1] <= MOST_PIXELS:
            return _padded(_shrunk(_whole(picture, first, recipe.interpolation), recipe.shrink, size), size)
        return _at_once(picture, recipe, size)
    whole = _fitted(picture, recipe, size)
    if recipe.cut == "once" or whole[0] * whole[1] > MOST_PIXELS:
        return _at_once(picture, recipe, size)
    kept = min(whole[0], size[0]), min(whole[1], size[1])
    top, left = (_half(had - has, recipe.cut) for had, has in zip(whole, kept, strict=True))
    box = (left, top, left + kept[1], top + kept[0])
    return _padded(_whole(picture, whole, recipe.interpolation).crop(box), size)


def resized(picture: Image.Image, box: Box, size: Sides, interpolation: Interpolation) -> Image.Image:
    """The part of the picture inside a box (in fractions), resized to (height, width)."""
    width, height = picture.size
    left, top, right, bottom = box
    pixels = (left * width, top * height, right * width, bottom * height)
    return picture.resize((size[1], size[0]), _FILTERS[interpolation], box=pixels, reducing_gap=None)


def _whole(picture: Image.Image, sides: Sides, interpolation: Interpolation, gap: float | None = None) -> Image.Image:
    return picture.resize((sides[1], sides[0]), _FILTERS[interpolation], reducing_gap=gap)


def _at_once(picture: Image.Image, recipe: Plain, size: Sides) -> Pixels:
    """Resize to size / crop_pct according to `fit` and crop the centre, in one call with a box.

    So a picture with a single row of pixels is never enlarged to millions of rows.
    """
    whole = _fitted(picture, recipe, size)
    (height, width), (kept_height, kept_width) = whole, (min(whole[0], size[0]), min(whole[1], size[1]))
    top, left = _half(height - kept_height, "round"), _half(width - kept_width, "round")
    box = (left / width, top / height, (left + kept_width) / width, (top + kept_height) / height)
    return _padded(resized(picture, box, (kept_height, kept_width), recipe.interpolation), size)


def _half(spare: int, rule: str) -> int:
    return spare // 2 if rule == "floor" else round(spare / 2.0)


def _padded(picture: Image.Image, size: Sides) -> Pixels:
    """The picture centred on a black canvas; if the margin is odd, the smaller half comes first."""
    kept = np.array(picture, np.uint8)
    height, width = kept.shape[:2]
    if (height, width) == size:
        return kept
    pixels = np.zeros((*size, 3), np.uint8)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    pixels[top : top + height, left : left + width] = kept
    return pixels


def _lies_across(picture: Image.Image, size: Sides) -> bool:
    """Whether the picture is landscape and the canvas portrait, or the reverse; false for a square."""
    if size[0] > size[1]:
        return picture.width > picture.height
    return size[1] > size[0] and picture.height > picture.width


def _shrunk(picture: Image.Image, shrink: Shrink, size: Sides) -> Image.Image:
    """A thumbnail no larger than the canvas; the picture itself if it fits."""
    if shrink.sides == "nearest":
        picture.thumbnail((size[1], size[0]), _FILTERS[shrink.interpolation], reducing_gap=shrink.gap)
        return picture
    height, width = min(picture.height, size[0]), min(picture.width, size[1])
    if (height, width) == (picture.height, picture.width):
        return picture
    if picture.height > picture.width:
        width = max(1, picture.width * height // picture.height)
    elif picture.width > picture.height:
        height = max(1, picture.height * width // picture.width)
    return _whole(picture, (height, width), shrink.interpolation, shrink.gap)


def _fitted(picture: Image.Image, recipe: Plain, size: Sides) -> Sides:
    """Height and width of the resized picture before it is cropped or padded, rounded like timm's evaluation."""
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
    return _shorter_side(picture, wanted[0])


def _shorter_side(picture: Image.Image, side: int) -> Sides:
    """Height and width after scaling the shorter side to `side`; the other side is rounded down."""
    if picture.height <= picture.width:
        return side, side * picture.width // picture.height
    return side * picture.height // picture.width, side
