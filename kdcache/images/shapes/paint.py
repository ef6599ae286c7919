"""Paint the composition of a picture at any size.

Input: a `Composition` and a size. Output: RGB pixels, uint8 (size, size, 3). It computes with integers only, so that every
machine paints the same bytes. To paint a shape, the position of each sample is rotated and scaled into the coordinates of the
shape's stencil and looked up there.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kdcache.images.shapes.composition import FRAME, Colour, Composition, Surface, Thing
from kdcache.images.shapes.stencils import LEVELS, RADIUS, Picture, cos, pattern, sin, stencil

Ints = NDArray[np.intp]
Planes = NDArray[np.int32]
FINE = 20
"""Number of fractional bits in stencil coordinates."""


@lru_cache(maxsize=16)
def _middles(count: int) -> Ints:
    """Coordinates of the centres of `count` samples across the frame."""
    return np.asarray((2 * np.arange(count, dtype=np.intp) + 1) * FRAME // (2 * count))


def _level(radius: int, samples: int) -> int:
    """The coarsest pyramid level whose texels are at least as fine as the samples."""
    wanted, level = radius * samples // FRAME, 0
    while level + 1 < LEVELS and RADIUS >> (level + 1) >= wanted:
        level += 1
    return level


def _outer(down: Ints, across: Ints) -> Ints:
    return np.asarray(down[:, None] + across)


def _coverage(thing: Thing, dx: Ints, dy: Ints, samples: int) -> Picture:
    """Coverage of each sample by the shape, 0..255."""
    level = _level(thing.radius, samples)
    texels = (RADIUS >> level) << (FINE - 14)
    c, s = cos(thing.angle) * texels, sin(thing.angle) * texels
    along, across = thing.radius * thing.stretch // 256, thing.radius * 256 // thing.stretch
    middle = (2 * RADIUS >> level) << FINE
    u = _outer(dy * (s // along) + middle, dx * (c // along))
    v = _outer(dy * (c // across) + middle, dx * (-s // across))
    # a corner of the box may lie just outside the stencil; coordinates wrap around to the empty border of the other side
    return _nearest(stencil(thing.shape)[level], u, v, 4 * RADIUS >> level)


def _texture(surface: Surface, radius: int, dx: Ints, dy: Ints, samples: int) -> Picture:
    """Amount of the surface's second colour in each sample, 0..255."""
    wide = radius * 256 // surface.fineness
    level = _level(wide, samples)
    side = 2 * RADIUS >> level
    texels, quarter = (RADIUS >> level) * surface.fineness, 4 * radius  # 2 ** (FINE - 14) / 256 = 1 / 4
    c, s = cos(surface.angle) * texels // quarter, sin(surface.angle) * texels // quarter
    u0, v0 = (offset * side << (FINE - 16) for offset in surface.offset)
    u, v = _outer(dy * s + u0, dx * c), _outer(dy * c + v0, dx * -s)
    u &= (side << FINE) - 1
    v &= (side << FINE) - 1
    magnified = wide * samples // FRAME > RADIUS
    return (_blended if magnified else _nearest)(pattern(surface.pattern)[level], u, v, side)


def _nearest(picture: Picture, u: Ints, v: Ints, side: int) -> Picture:
    """The texels at (u, v); the arrays `u` and `v` are overwritten."""
    u >>= FINE
    v >>= FINE
    v *= side
    v += u
    return picture.take(v, mode="wrap")


def _blended(picture: Picture, u: Ints, v: Ints, side: int) -> Picture:
    """Bilinear interpolation of a periodic picture at (u, v)."""
    u0, v0 = u >> FINE, v >> FINE
    right, down = ((part >> (FINE - 8)) & 255 for part in (u, v))
    u1, v1 = (u0 + 1) & (side - 1), (v0 + 1) & (side - 1)
    v0 *= side
    v1 *= side
    upper = picture.take(v0 + u0) * (256 - right) + picture.take(v0 + u1) * right
    lower = picture.take(v1 + u0) * (256 - right) + picture.take(v1 + u1) * right
    return np.asarray((upper * (256 - down) + lower * down) >> 16, np.uint8)


def _shrunk(samples: Picture, factor: int) -> Planes:
    """Means of factor x factor samples."""
    if factor == 1:
        return samples.astype(np.int32)
    rows = samples[0::2].astype(np.int32) + samples[1::2]
    return np.asarray((rows[:, 0::2] + rows[:, 1::2] + 2) >> 2)


def _plane_values(colour: Colour) -> Planes:
    return np.array(colour, np.int32)[:, None, None]


def _mixed(surface: Surface, amount: Planes) -> Planes:
    first = _plane_values(surface.first)
    mixed = (_plane_values(surface.second) - first) * amount
    mixed += 128
    mixed >>= 8
    mixed += first
    return mixed


def _span(middle: int, reach: int, size: int) -> slice:
    """The range of pixels within `reach` of `middle`, cut at the picture's edge."""
    return slice(max((middle - reach) * size // FRAME, 0), max(0, min((middle + reach) * size // FRAME + 1, size)))


def _paint_thing(canvas: Planes, thing: Thing, factor: int) -> None:
    size = canvas.shape[1]
    reach = thing.radius * max(thing.stretch, 65536 // thing.stretch) // 256
    rows, columns = _span(thing.y, reach, size), _span(thing.x, reach, size)
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    middles = _middles(size * factor)
    dx = middles[columns.start * factor : columns.stop * factor] - thing.x
    dy = middles[rows.start * factor : rows.stop * factor] - thing.y
    cover = _shrunk(_coverage(thing, dx, dy, size * factor), factor)
    _cast_shadow(canvas, thing, cover, rows.start, columns.start)
    amount = np.zeros((1, 1), np.int32)
    if thing.surface.pattern != "plain":
        amount = _shrunk(_texture(thing.surface, thing.radius, dx, dy, size * factor), factor)
    lit = _mixed(thing.surface, amount) * _shade(thing, dx[::factor], dy[::factor])
    lit >>= 8
    spot = canvas[:, rows, columns]
    lit -= spot
    lit *= cover
    lit += 128
    lit >>= 8
    spot += lit


def _shade(thing: Thing, dx: Ints, dy: Ints) -> Planes:
    """Brightness of each pixel of the thing, 256 = as drawn."""
    down = 256 + dy * thing.shade[1] // thing.radius
    return down.astype(np.int32)[:, None] + (dx * thing.shade[0] // thing.radius).astype(np.int32)


def _cast_shadow(canvas: Planes, thing: Thing, cover: Planes, top: int, left: int) -> None:
    """Darken the canvas below the thing's shadow, which is its shape moved by an offset."""
    size = canvas.shape[1]
    top, left = top + thing.shadow[1] * size // FRAME, left + thing.shadow[0] * size // FRAME
    cover = cover[:, max(0, -left) :]
    left = max(0, left)
    spot = canvas[:, top : top + cover.shape[0], left : left + cover.shape[1]]
    depth = cover[: spot.shape[1], : spot.shape[2]] * thing.shadow[2]
    depth >>= 8
    dark = spot * depth
    dark >>= 8
    spot -= dark


def paint(composition: Composition, size: int) -> NDArray[np.uint8]:
    """The picture of a composition, size x size."""
    factor = 2 if size <= 128 else 1  # larger pictures need no second sample a pixel: their stencils are smooth enough
    middles = _middles(size) - FRAME // 2
    canvas = _mixed(
        composition.background, _texture(composition.background, FRAME // 2, middles, middles, size).astype(np.int32)
    )
    for thing in composition.things:
        _paint_thing(canvas, thing, factor)
    slope = 256 + (middles[:, None] * composition.slope[1] + middles * composition.slope[0] >> 16).astype(np.int32)
    canvas *= slope * _plane_values(composition.gain) >> 8
    canvas >>= 8
    pixels = np.empty((size, size, 3), np.uint8)
    canvas.clip(0, 255, out=canvas)
    pixels[:] = canvas.transpose(1, 2, 0)
    return pixels
