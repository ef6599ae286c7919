"""Random erasing in image space: a box of pixel noise that is the same at every resolution.

The noise is defined on the reference grid: a pixel shows the cell at its centre. It is computed with integers only, so it has
the same bits on every machine. The sum of four 16-bit words is approximately normal; scaled to ImageNet's mean and standard
deviation it equals the unit normal noise that TinyViT puts into normalised images.
"""

import numpy as np
from numpy.typing import NDArray

from kdcache.base.dice import Dice
from kdcache.views.draw import Purpose
from kdcache.views.drawn import GRID, ErasedBox

_MIDDLE = 2 * 65535
_BITS = 20
_MEAN = np.array([123.675, 116.28, 103.53])
"""Mean of the noise: 255 x ImageNet mean."""
_STEP = np.rint(np.array([58.395, 57.12, 57.375]) * 2**_BITS / (4 * (65536**2 - 1) / 12) ** 0.5).astype(np.int32)
"""Factor that scales the sum of four random words to 255 x ImageNet's standard deviation."""
_START = np.rint(_MEAN * 2**_BITS).astype(np.int32) + (1 << (_BITS - 1))


def noise(box: ErasedBox) -> NDArray[np.uint8]:
    """The noise of a box: one value per channel for each of its cells."""
    height, width = box.bottom - box.top, box.right - box.left
    words = Dice(box.noise, 0, purpose=Purpose.NOISE).words(height * width * 3)
    parts = words.view(np.uint16).reshape(height, width, 3, 4)
    sums = parts[..., 0].astype(np.int32)
    for place in (1, 2, 3):
        sums += parts[..., place]
    values: NDArray[np.int32] = ((sums - _MIDDLE) * _STEP + _START) >> _BITS
    return np.clip(values, 0, 255).astype(np.uint8)


def erase(pixels: NDArray[np.uint8], box: ErasedBox) -> None:
    """Put the noise of the box into an image, in place."""
    rows, y = _cells(box.top, box.bottom, pixels.shape[0])
    columns, x = _cells(box.left, box.right, pixels.shape[1])
    pixels[rows, columns] = noise(box)[np.ix_(y, x)]


def _cells(first: int, last: int, pixels: int) -> tuple[slice, NDArray[np.int64]]:
    """The pixels along one side that are covered by the cells [first, last), and the cell that each of them shows."""
    start, stop = ((2 * edge * pixels + GRID) // (2 * GRID) for edge in (first, last))
    centres = (2 * np.arange(start, stop) + 1) * GRID // (2 * pixels)
    return slice(start, stop), np.clip(centres, first, last - 1) - first
