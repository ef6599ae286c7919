"""Compose one generated picture: what is in it, before anything is painted.

Input: a seed, a split and an index. Output: a `Composition` of integers in units that do not depend on the picture's size:
positions and radii in 1/65536 of the frame, angles in 1/4096 turns, colours in 0..255. So it can be painted at any size.
"""

from collections.abc import Iterator
from typing import NamedTuple

from kdcache.base.dice import Dice
from kdcache.images.shapes.stencils import TURN, cos, sin

FRAME = 1 << 16
PURPOSE = 0x5AAFE5
SPLITS = ("train", "val")
SHAPES = ("circle", "square", "triangle", "star", "heart", "cross", "ring", "crescent", "arrow", "bolt")
HUES = {"red": 0, "yellow": 52, "green": 125, "blue": 220, "purple": 284}
SURFACES = (*HUES, "striped", "dotted", "checked", "speckled", "two-tone")
CLASSES = tuple(f"{surface} {shape}" for shape in SHAPES for surface in SURFACES)

Colour = tuple[int, int, int]


class Surface(NamedTuple):
    """A pattern of two colours, with its own direction, fineness (256 = as drawn) and offset (in 1/65536 periods)."""

    pattern: str
    first: Colour
    second: Colour
    angle: int = 0
    fineness: int = 256
    offset: tuple[int, int] = (0, 0)


class Thing(NamedTuple):
    """One shape in the picture."""

    shape: str
    surface: Surface
    x: int
    y: int
    radius: int
    stretch: int
    """Stretch of the shape, 256 = as drawn: it grows by this factor along its own x and shrinks by it along y."""
    angle: int
    shade: tuple[int, int]
    """Shading of the shape: how much lighter (in 1/256) it is one radius further along its own x and y."""
    shadow: tuple[int, int, int]
    """Shadow of the shape: offset in x and y, and darkness out of 256."""


class Composition(NamedTuple):
    """A background, things from back to front, and the light over the whole picture."""

    background: Surface
    things: tuple[Thing, ...]
    gain: Colour
    """Brightness of the three channels, 256 = as drawn."""
    slope: tuple[int, int]
    """Change of brightness from edge to edge, out of 256."""
    target: int
    """Index of the thing that the class names."""

    def alone(self) -> "Composition":
        """The composition without clutter and occlusion: only the target on its background."""
        return self._replace(things=(self.things[self.target],), target=0)

    def outline(self) -> "Composition":
        """The target in white on black, evenly lit, as a mask of where it is."""
        white, black = Surface("plain", (255, 255, 255), (255, 255, 255)), Surface("striped", (0, 0, 0), (0, 0, 0))
        target = self.things[self.target]._replace(surface=white, shade=(0, 0), shadow=(0, 0, 0))
        return Composition(black, (target,), (256, 256, 256), (0, 0), 0)


class Draws:
    """Random integers for one picture, from words that are drawn all at once."""

    def __init__(self, seed: int, split: str, index: int, count: int) -> None:
        dice = Dice(seed, index, SPLITS.index(split), PURPOSE)
        self._words: Iterator[int] = iter(dice.words(count).tolist())

    def between(self, low: int, high: int) -> int:
        """An integer in [low, high)."""
        return low + (next(self._words) * (high - low) >> 64)


def label_of(index: int) -> int:
    """The class of an image: each block of a hundred images has every class once, in its own order."""
    block, place = divmod(index, len(CLASSES))
    return (place * 37 + block * 61) % len(CLASSES)


def rgb(hue: int, saturation: int, value: int) -> Colour:
    """A colour from hue in degrees and saturation and value in percent."""
    sector, part = divmod(hue % 360, 60)
    top = value * 255 // 100
    low = top * (100 - saturation) // 100
    rise, fall = low + (top - low) * part // 60, low + (top - low) * (60 - part) // 60
    wheel = ((top, rise, low), (fall, top, low), (low, top, rise), (low, fall, top), (rise, low, top), (top, low, fall))
    return wheel[sector]


def _vivid(draw: Draws, hue: int) -> Colour:
    return rgb(hue + draw.between(-8, 9), draw.between(68, 101), draw.between(62, 101))


def _muted(draw: Draws) -> Colour:
    return rgb(draw.between(0, 360), draw.between(0, 38), draw.between(25, 96))


def _two_colours(draw: Draws) -> tuple[Colour, Colour]:
    """Two colours that differ enough to show a pattern: with distant hues, or one of them nearly white or black."""
    hue = draw.between(0, 360)
    kind, turn = draw.between(0, 4), draw.between(90, 271)
    first = rgb(hue, draw.between(60, 101), draw.between(60, 101))
    saturation, value = draw.between(0, 25), draw.between(0, 20)
    white, black = rgb(hue, saturation, 80 + value), rgb(hue, 40, value + 5)
    second = (rgb(hue + turn, 80, 45), rgb(hue + turn, 70, 95), white, black)[kind]
    return (first, second) if draw.between(0, 2) else (second, first)


def _surface(draw: Draws, name: str) -> Surface:
    if name in HUES:
        colour = _vivid(draw, HUES[name])
        return Surface("plain", colour, colour)
    first, second = _two_colours(draw)
    angle, offset = draw.between(0, TURN), (draw.between(0, FRAME), draw.between(0, FRAME))
    if name == "two-tone":  # at half the fineness exactly one line between the halves passes near the middle
        return Surface(name, first, second, angle, 96, (draw.between(-3000, 3000), 0))
    return Surface(name, first, second, angle, draw.between(200, 300), offset)


def _thing(draw: Draws, shape: str, surface: Surface, x: int, y: int, radius: int, *, shadow: int) -> Thing:
    lean = draw.between(-TURN // 8, TURN // 8 + 1)
    return Thing(
        shape=shape,
        surface=surface,
        x=x,
        y=y,
        radius=radius,
        stretch=draw.between(218, 301),
        angle=lean + draw.between(0, 2) * (TURN // 2 if shape == "arrow" else 0),
        shade=(draw.between(-70, 71), draw.between(-70, 71)),
        shadow=(draw.between(-1600, 1601), draw.between(400, 2000), draw.between(0, shadow + 1)),
    )


def _clutter(draw: Draws) -> Thing:
    """A small shape of any kind and surface, anywhere: it looks like a class, but is always smaller than a target."""
    shape, surface = SHAPES[draw.between(0, len(SHAPES))], _surface(draw, SURFACES[draw.between(0, len(SURFACES))])
    x, y, radius = draw.between(0, FRAME), draw.between(0, FRAME), draw.between(FRAME * 5 // 100, FRAME * 12 // 100)
    return _thing(draw, shape, surface, x, y, radius, shadow=100)


def _occluder(draw: Draws, target: Thing) -> Thing:
    """A dull bar across the target, or a dull blob on its rim."""
    dull, other = _muted(draw), _muted(draw)
    surface = Surface("cloudy", dull, other, draw.between(0, TURN), draw.between(60, 200), (draw.between(0, FRAME), 0))
    direction, bar = draw.between(0, TURN), draw.between(0, 2)
    far = draw.between(20, 60) if bar else draw.between(75, 105)
    radius = target.radius * (draw.between(90, 150) if bar else draw.between(30, 48)) // 100
    x = target.x + target.radius * far // 100 * cos(direction) // (1 << 14)
    y = target.y + target.radius * far // 100 * sin(direction) // (1 << 14)
    shape = "bar" if bar else ("circle", "square", "triangle")[draw.between(0, 3)]
    thing = _thing(draw, shape, surface, x, y, radius, shadow=90)
    return thing._replace(angle=direction + TURN // 4 + draw.between(-300, 301)) if bar else thing


def compose(seed: int, split: str, index: int) -> Composition:
    """The composition of picture `index` of a split."""
    draw = Draws(seed, split, index, 224)
    shape, surface = divmod(label_of(index), len(SURFACES))
    background = Surface(
        ("cloudy", "cloudy", "cloudy", "striped", "checked", "speckled")[draw.between(0, 6)],
        *_background_colours(draw),
        draw.between(0, TURN),
        draw.between(50, 150),
        (draw.between(0, FRAME), draw.between(0, FRAME)),
    )
    gain, warm = draw.between(180, 300), draw.between(-18, 19)
    slope = (draw.between(-110, 111), draw.between(-110, 111))
    radius = draw.between(FRAME * 23 // 100, FRAME * 38 // 100)
    margin = radius * 9 // 10
    x, y = draw.between(margin, FRAME - margin), draw.between(margin, FRAME - margin)
    target = _thing(draw, SHAPES[shape], _surface(draw, SURFACES[surface]), x, y, radius, shadow=130)
    behind = tuple(_clutter(draw) for _ in range(draw.between(2, 6)))
    before = tuple(_occluder(draw, target) for _ in range((0, 0, 1, 1, 1, 2)[draw.between(0, 6)]))
    return Composition(background, (*behind, target, *before), (gain + warm, gain, gain - warm), slope, len(behind))


def _background_colours(draw: Draws) -> tuple[Colour, Colour]:
    """Two similar dull colours, so that no pattern of the background stands out like that of a target."""
    hue, saturation, value = draw.between(0, 360), draw.between(0, 40), draw.between(25, 80)
    turn, more = draw.between(-40, 41), draw.between(8, 22)
    return rgb(hue, saturation, value), rgb(hue + turn, saturation, value + more)
