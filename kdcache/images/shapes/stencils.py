"""The outlines and surface patterns of the set `shapes`, as greyscale pictures (stencils) at several sizes.

Input: nothing. Output: for every shape and pattern a pyramid of flat uint8 pictures that paint.py samples: 0 is outside or the
first colour, 255 inside or the second. Pixels are computed with integers only, so no library version can move an edge.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from kdcache.base.dice import Dice

RADIUS = 256
"""Radius of a shape in texels at the finest level."""
LEVELS = 6
"""Number of stencil levels, of radius 256, 128, ... 8."""
TURN = 4096
"""Steps of a full turn in the integer sine table."""
ONE = 1 << 14
"""Value of 1.0 in the integer sine table."""
COS: tuple[int, ...] = tuple(round(math.cos(2 * math.pi * i / TURN) * ONE) for i in range(TURN))

Picture = NDArray[np.uint8]
Point = tuple[int, int]


def cos(angle: int) -> int:
    """Cosine of angle / TURN turns, times ONE."""
    return COS[angle % TURN]


def sin(angle: int) -> int:
    """Sine of angle / TURN turns, times ONE."""
    return COS[(angle - TURN // 4) % TURN]


def _arc(radius: int, first: int, last: int, steps: int, centre: Point = (0, 0)) -> list[Point]:
    """Points on an arc from angle `first` to `last` (in 1/TURN turns)."""
    angles = [first + (last - first) * i // steps for i in range(steps + 1)]
    return [(centre[0] + radius * cos(a) // ONE, centre[1] + radius * sin(a) // ONE) for a in angles]


def _circle() -> list[Point]:
    return _arc(900, 0, TURN, 96)


def _square() -> list[Point]:
    return [(-760, -760), (760, -760), (760, 760), (-760, 760)]


def _triangle() -> list[Point]:
    return [(0, -1000), (900, 640), (-900, 640)]


def _star() -> list[Point]:
    return [_arc(1000 if i % 2 == 0 else 420, a := i * TURN // 10 - TURN // 4, a, 1)[0] for i in range(10)]


def _heart() -> list[Point]:
    left = _arc(470, 1593, 3825, 40, (-430, -330))
    right = _arc(470, 2319, 4551, 40, (430, -330))
    return [*left, *right, (0, 900)]


def _cross() -> list[Point]:
    arms = [[(-330, -950), (330, -950), (330, -330)]]
    while len(arms) < 4:
        arms.append([(-y, x) for x, y in arms[-1]])
    return [point for arm in arms for point in arm]


def _ring() -> list[Point]:
    return _arc(960, 0, TURN, 96) + _arc(500, TURN, 0, 96)


def _crescent() -> list[Point]:
    outer = _arc(980, TURN * 61 // 360, TURN * 299 // 360, 80, (350, 0))
    inner = _arc(860, TURN * 266 // 360, TURN * 94 // 360, 80, (885, 0))
    return outer + inner


def _arrow() -> list[Point]:
    return [(1000, 0), (150, -800), (150, -330), (-950, -330), (-950, 330), (150, 330), (150, 800)]


def _bolt() -> list[Point]:
    return [(230, -1000), (-640, 200), (-80, 200), (-330, 1000), (640, -260), (60, -260), (560, -1000)]


def _bar() -> list[Point]:
    return [(-1000, -100), (1000, -100), (1000, 100), (-1000, 100)]


OUTLINES: dict[str, Callable[[], list[Point]]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "heart": _heart,
    "cross": _cross,
    "ring": _ring,
    "crescent": _crescent,
    "arrow": _arrow,
    "bolt": _bolt,
    "bar": _bar,
}
"""Outlines in thousandths of a radius, y downwards. The bar only occurs as clutter, never as a class."""


def fill(points: Sequence[Point], side: int, radius: int) -> Picture:
    """Fill a polygon by the even-odd rule: toggle each row at its crossings with edges, then sum along the row.

    Crossings are exact fractions rounded down, at the middle of each row.
    """
    toggles = np.zeros((side, side), np.int32)
    scaled = [(x * radius * 2 // 1000 + side, y * radius * 2 // 1000 + side) for x, y in points]  # half texels
    for (x0, y0), (x1, y1) in zip(scaled, [*scaled[1:], scaled[0]], strict=True):
        if y0 > y1:
            x0, y0, x1, y1 = x1, y1, x0, y0
        rows = np.arange(y0 // 2, y1 // 2)  # the rows whose centre, 2 row + 1, lies in [y0, y1)
        columns = (x0 * (y1 - y0) + (x1 - x0) * (2 * rows + 1 - y0)) // (2 * max(y1 - y0, 1))
        np.add.at(toggles, (rows, columns), 1)
    return np.asarray((toggles.cumsum(1) & 1) * 255, np.uint8)


def _halved(picture: Picture) -> Picture:
    total = picture.reshape(picture.shape[0] // 2, 2, -1, 2).astype(np.int32).sum((1, 3))
    return np.asarray((total + 2) >> 2, np.uint8)


def _pyramid(picture: Picture) -> tuple[Picture, ...]:
    """A picture at all levels, finest first, each flattened for `numpy.take`."""
    levels = [picture]
    while len(levels) < LEVELS:
        levels.append(_halved(levels[-1]))
    return tuple(np.ascontiguousarray(level).reshape(-1) for level in levels)


@cache
def stencil(shape: str) -> tuple[Picture, ...]:
    """Coverage of a shape on a square of 4 x 4 radii, at all levels."""
    double = fill(OUTLINES[shape](), 8 * RADIUS, 2 * RADIUS)
    return _pyramid(_halved(double))


def _smooth_noise(side: int, cells: int, key: int) -> NDArray[np.int64]:
    """Periodic value noise in 0..4080: random values on a grid of cells, linearly interpolated."""
    grid = (Dice(0x7E57, key).words(cells * cells) >> np.uint64(56)).astype(np.int64).reshape(cells, cells)
    step = side // cells
    low, across = np.divmod(np.arange(side), step)
    high = (low + 1) % cells
    rows = grid[low] * (step - across)[:, None] + grid[high] * across[:, None]
    both = rows[:, low] * (step - across) + rows[:, high] * across
    return np.asarray(both * 16 // (step * step))


def _is_second(name: str) -> NDArray[np.bool_]:
    """Mask of the second colour in one period of a two-colour pattern."""
    side = 2 * RADIUS
    cell, dot = side // 4, side * 31 // 400
    y, x = np.mgrid[0:side, 0:side]
    if name == "striped":
        return np.asarray(x % cell < cell // 2)
    if name == "checked":
        return np.asarray((x % cell < cell // 2) ^ (y % cell < cell // 2))
    if name == "dotted":
        return np.asarray((x % cell - cell // 2) ** 2 + (y % cell - cell // 2) ** 2 < dot**2)
    if name == "speckled":
        return np.asarray(_smooth_noise(side, 32, 1) + _smooth_noise(side, 16, 2) // 2 > 3300)
    if name == "two-tone":
        return np.asarray(x < side // 2)
    raise KeyError(name)


def _clouds() -> Picture:
    value = np.sum([_smooth_noise(2 * RADIUS, 4 << octave, 10 + octave) >> octave for octave in range(5)], axis=0)
    low, high = int(value.min()), int(value.max())
    return np.asarray((value - low) * 255 // (high - low), np.uint8)


@cache
def pattern(name: str) -> tuple[Picture, ...]:
    """One period of a surface pattern (2 x 2 radii), at all levels."""
    return _pyramid(_clouds() if name == "cloudy" else np.where(_is_second(name), 255, 0).astype(np.uint8))
