"""The training pictures of nano teachers, all in memory, and their augmentation.

Input: a split of `shapes`. Output: uint8 tensors with labels, masks of the target, and pictures of only the target.
"""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kdcache.base.children import out_of_reach
from kdcache.images.shapes import COUNTS
from kdcache.images.shapes.composition import compose, label_of
from kdcache.images.shapes.paint import paint
from kdcache.signals.teacher import Preprocess
from kdcache.teachers.nano import SIZE

LIGHT, SLOPE, SPOTS = 0.35, 0.4, 0.5
"""Random changes of brightness: of the whole picture, from its centre to an edge, and locally. Each is a standard
deviation of the logarithm.
"""
_BLOCK = 500


@dataclass(frozen=True)
class DrawnPictures:
    """The pictures of a split in memory."""

    pixels: Tensor
    """Pictures, uint8 (count, 3, size, size)."""
    alone: Tensor
    """The pictures without clutter and occlusion."""
    outline: Tensor
    """Mask of the target, uint8 (count, 1, size, size): 255 inside it, even where it is occluded."""
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def _planes(split: str, first: int, last: int) -> NDArray[np.uint8]:
    """Seven planes per picture: the picture, the target alone, the outline."""
    planes = np.empty((last - first, 7, SIZE, SIZE), np.uint8)
    for row, index in enumerate(range(first, last)):
        whole = compose(0, split, index)
        planes[row, :3] = paint(whole, SIZE).transpose(2, 0, 1)
        planes[row, 3:6] = paint(whole.alone(), SIZE).transpose(2, 0, 1)
        planes[row, 6] = paint(whole.outline(), SIZE)[:, :, 0]
    return planes


def paint_all(split: str, *, count: int | None = None, workers: int = 2) -> DrawnPictures:
    """Paint a split, or its first `count` pictures, in `workers` processes."""
    count = count or COUNTS[split]
    starts = range(0, count, _BLOCK)
    ends = [min(start + _BLOCK, count) for start in starts]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        with out_of_reach():
            painted = pool.map(_planes, [split] * len(ends), starts, ends)
        planes = torch.from_numpy(np.concatenate(list(painted)))
    labels = torch.tensor([label_of(index) for index in range(count)])
    return DrawnPictures(planes[:, :3].contiguous(), planes[:, 3:6].contiguous(), planes[:, 6:].contiguous(), labels)


def normalised(pixels: Tensor, preprocess: Preprocess) -> Tensor:
    """Normalise pixels (batch, 3, height, width) in 0..255 for the teacher."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (preprocess.mean, preprocess.std))
    return (pixels.float() / 255 - mean) / std


def varied(pixels: Tensor, outline: Tensor, dice: torch.Generator) -> tuple[Tensor, Tensor]:
    """Randomly mirror, rotate, move, resize and relight pictures and outlines; values 0..255.

    Mirroring does not change a class. Hues are kept, because some classes differ only in hue.
    """
    count = len(pixels)
    draw = torch.rand((6, count), generator=dice) * 2 - 1
    angle, size = draw[0] * 0.18, torch.exp(draw[1] * 0.1)
    mirror = torch.where(draw[2] > 0, 1.0, -1.0)
    cos, sin = torch.cos(angle) * size, torch.sin(angle) * size
    turn = torch.stack((cos * mirror, -sin, draw[3] * 0.08, sin * mirror, cos, draw[4] * 0.08), 1).view(count, 2, 3)
    grid = nn.functional.affine_grid(turn, [count, 4, SIZE, SIZE], align_corners=False)
    both = torch.cat((pixels, outline), 1).float()
    moved = nn.functional.grid_sample(both, grid, padding_mode="reflection", align_corners=False)
    lit = moved[:, :3] * (1 + draw[5] * 0.1).view(-1, 1, 1, 1)
    return lit.clamp(0, 255), moved[:, 3:]


def cropped(pixels: Tensor, dice: torch.Generator) -> Tensor:
    """Random crops of pictures, resized to full size and randomly mirrored; values 0..255."""
    count = len(pixels)
    draw = torch.rand((5, count), generator=dice)
    side, slim = (0.4 + 0.6 * draw[0]).sqrt(), torch.exp(0.2 * (2 * draw[1] - 1))
    width, height = (side * slim.sqrt()).clamp(max=1), (side / slim.sqrt()).clamp(max=1)
    left, top = (2 * draw[2] - 1) * (1 - width), (2 * draw[3] - 1) * (1 - height)
    mirror, none = torch.where(draw[4] < 0.5, -1.0, 1.0), torch.zeros(count)
    cut = torch.stack((width * mirror, none, left, none, height, top), 1).view(count, 2, 3)
    grid = nn.functional.affine_grid(cut, [count, 3, SIZE, SIZE], align_corners=False)
    return nn.functional.grid_sample(pixels.float(), grid, padding_mode="reflection", align_corners=False).clamp(0, 255)


def relit(pixels: Tensor, dice: torch.Generator) -> Tensor:
    """Randomly change the lighting of pictures: overall, per channel, as a gradient, locally, and by haze. Values may leave
    0..255, so that no information is lost.
    """
    count = len(pixels)

    def drawn(*planes: int) -> Tensor:
        return torch.randn((count, *planes), generator=dice)

    across = torch.linspace(-1, 1, SIZE)
    slope = drawn(1, 1, 1) * across + drawn(1, 1, 1) * across[:, None]
    spots = nn.functional.interpolate(drawn(1, 4, 4), size=(SIZE, SIZE), mode="bicubic", align_corners=False)
    gain = LIGHT * (drawn(1, 1, 1) + 0.5 * drawn(3, 1, 1)) + SLOPE * slope + SPOTS * spots
    haze = 255 * LIGHT * (0.25 * drawn(1, 1, 1) + 0.15 * drawn(3, 1, 1))
    return pixels * gain.exp() + haze
