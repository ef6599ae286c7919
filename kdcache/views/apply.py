"""Apply drawn parameters to an image: uint8 RGB in, uint8 RGB of the requested size out, using Pillow and integers.

Plain views are made in plain.py instead.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kdcache.views.drawn import Drawn, DrawnCrop
from kdcache.views.erase import erase
from kdcache.views.plain import Box, plain_view, resized
from kdcache.views.randaugment import transform

Pixels = NDArray[np.uint8]


def apply(image: Pixels, drawn: Drawn, size: tuple[int, int]) -> Pixels:
    """The view at `size` (height, width), before mixing with a partner image (see mix.py)."""
    picture = Image.fromarray(image)
    if drawn.plain is not None:
        return plain_view(picture, drawn.plain, size)
    crop = drawn.crop
    assert crop is not None
    view = resized(picture, crop_box(crop, picture.width, picture.height), size, crop.interpolation)
    if drawn.flip:
        view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for op in drawn.ops:
        view = transform(view, op.name, op.value, crop.interpolation)
    pixels = np.array(view, np.uint8)
    if drawn.erase is not None:
        erase(pixels, drawn.erase)
    return pixels


def crop_box(crop: DrawnCrop, width: int, height: int) -> Box:
    """Left, top, right, bottom as fractions of the image: the first candidate that fits, else the largest centred box."""
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
