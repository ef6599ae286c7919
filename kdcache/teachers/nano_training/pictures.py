"""Pictures in memory, for the training of the teachers in the package, and their augmentation.

Input: a split of `shapes`. Output: uint8 tensors with labels, masks of the target, and pictures of only the target.
"""

from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
_BLOCK = 250
"""Pictures that one process paints at a time."""
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class DrawnPictures:
    """Pictures in memory, such as those of a split."""

    pixels: Tensor
    """Pictures, uint8 (count, 3, side, side)."""
    alone: Tensor
    """The pictures without clutter and occlusion; the pictures themselves where these were not asked for."""
    outline: Tensor
    """Mask of the target, uint8 (count, 1, SIZE, SIZE) at any `side`: 255 inside it, even where it is occluded."""
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def side(self) -> int:
        """Side length of the pictures."""
        return self.pixels.shape[-1]


@dataclass(frozen=True)
class Painting:
    """Which pictures are painted: numbers `first` to `last` of a split, and how."""

    split: str
    first: int
    last: int
    side: int = SIZE
    seed: int = 0
    """The set whose split it is. That of seed 0 is `shapes`; other seeds give other pictures of the same kind."""
    alone: bool = True
    """Whether the isolated targets are painted as well."""

    def blocks(self) -> list["Painting"]:
        """The same pictures in small blocks, for several processes."""
        starts = range(self.first, self.last, _BLOCK)
        return [replace(self, first=first, last=min(first + _BLOCK, self.last)) for first in starts]

    def from_planes(self, planes: list[tuple[Pixels, Pixels]]) -> DrawnPictures:
        """The pictures from the planes of all blocks."""
        pixels, outline = (torch.from_numpy(np.concatenate(each)) for each in zip(*planes, strict=True))
        whole = pixels[:, :3].contiguous()
        alone = pixels[:, 3:].contiguous() if self.alone else whole
        return DrawnPictures(whole, alone, outline, torch.tensor([label_of(n) for n in range(self.first, self.last)]))


def planes(block: Painting) -> tuple[Pixels, Pixels]:
    """Three planes of each picture and, if wanted, three of its isolated target; and its outline."""
    count, side = block.last - block.first, block.side
    pixels = np.empty((count, 6 if block.alone else 3, side, side), np.uint8)
    outline = np.empty((count, 1, SIZE, SIZE), np.uint8)
    for row, index in enumerate(range(block.first, block.last)):
        whole = compose(block.seed, block.split, index)
        pixels[row, :3] = paint(whole, side).transpose(2, 0, 1)
        if block.alone:
            pixels[row, 3:] = paint(whole.alone(), side).transpose(2, 0, 1)
        outline[row, 0] = paint(whole.outline(), SIZE)[:, :, 0]
    return pixels, outline


@contextmanager
def painters(workers: int) -> Iterator[Executor]:
    """Processes that paint."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield pool


def begin_painting(painting: Painting, pool: Executor) -> list["Future[tuple[Pixels, Pixels]]"]:
    """Start to paint in the background."""
    with out_of_reach():
        return [pool.submit(planes, block) for block in painting.blocks()]


def paint_all(split: str, *, count: int | None = None, workers: int = 2, side: int = SIZE) -> DrawnPictures:
    """Paint a split, or its first `count` pictures, in `workers` processes."""
    painting = Painting(split, 0, count or COUNTS[split], side)
    with painters(workers) as pool:
        return painting.from_planes([block.result() for block in begin_painting(painting, pool)])


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
    moved, where = (_moved(planes, turn) for planes in (pixels, outline))
    lit = moved * (1 + draw[5] * 0.1).view(-1, 1, 1, 1)
    return lit.clamp(0, 255), where


def _moved(planes: Tensor, turn: Tensor) -> Tensor:
    grid = nn.functional.affine_grid(turn, list(planes.shape), align_corners=False)
    return nn.functional.grid_sample(planes.float(), grid, padding_mode="reflection", align_corners=False)


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
