"""Line charts as inline SVG, without scripts, readable in light and dark mode and in print.

Input: series of (x, y), and points to mark. Output: markup. A dot shows its value when the pointer rests on it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from students.report.markup import Markup, tag

Point = tuple[float, float]
WIDTH, HEIGHT = 400.0, 220.0
LEFT, RIGHT, TOP, BOTTOM = 48.0, 18.0, 10.0, 36.0
MOST_POINTS = 300
"""Largest number of points drawn; a longer series is averaged over equal intervals."""
COLOURS = 8
"""Number of colours in the style sheet; a ninth series gets the first again."""
LINE = 14.0
"""Distance between two lines of text."""


@dataclass(frozen=True)
class Series:
    """One line."""

    name: str
    points: Sequence[Point]
    colour: int
    """Number of the colour on the page, from 1 to 8."""
    dots: bool = False
    """Whether every point is marked, for few exact values."""
    dashed: bool = False
    """Whether the line is dashed, in a pattern of its colour, so that overlapping or grey lines can be
    distinguished."""
    low: Sequence[Point] = ()
    high: Sequence[Point] = ()
    """Upper edge of a confidence band around the line; `low` is its lower edge."""


@dataclass(frozen=True)
class Mark:
    """A named point in a chart."""

    name: str
    at: Point
    colour: int


@dataclass(frozen=True)
class Scale:
    """Linear map from values to coordinates along one axis."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """Coordinate of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)


def line_chart(
    title: str,
    series: Sequence[Series],
    *,
    shown: Callable[[float], str],
    across: str,
    floor: float | None = None,
    marks: Sequence[Mark] = (),
) -> Markup:
    """A chart with its title and legend. `shown` formats a value, `floor` is a value that the y axis includes; x starts at 0."""
    drawn = [s for s in series if s.points]
    if not drawn:
        return Markup("")
    xs = [x for s in drawn for x, _ in s.points]
    ys = [y for s in drawn for _, y in (*s.points, *s.low, *s.high)] + ([] if floor is None else [floor])
    x_ticks, y_ticks = ticks(0, max(xs), 5), ticks(min(ys), max(ys), 5)
    x_scale = Scale(0, max(xs) or 1, LEFT, WIDTH - RIGHT)
    y_scale = Scale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP)
    picture = tag(
        "svg",
        _grid(y_ticks, y_scale, shown),
        _feet([t for t in x_ticks if t <= x_scale.high], x_scale, across),
        (_band(s, x_scale, y_scale) for s in drawn),
        (_line(s, x_scale, y_scale, shown, across) for s in drawn),
        _marks(marks, x_scale, y_scale),
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
        role="img",
        aria_label=f"{title}: {', '.join(s.name for s in drawn)}",
    )
    return tag("figure", tag("figcaption", title, _legend(drawn)), picture, class_="chart")


def ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round values, two or more, the first at or below `low` and the last at or above `high`."""
    largest = max(abs(low), abs(high))
    if high - low <= max(1e-12 * largest, 1e-100):
        low, high = (low - largest / 2, high + largest / 2) if largest > 1e-100 else (0.0, 1.0)
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> Sequence[Point]:
    """At most `most` points; a longer series is averaged over equal intervals."""
    if len(points) <= most:
        return points
    edges = [round(place * len(points) / most) for place in range(most + 1)]
    stretches = [points[a:b] for a, b in pairwise(edges)]
    return [(sum(x for x, _ in s) / len(s), sum(y for _, y in s) / len(s)) for s in stretches]


def _grid(values: Sequence[float], scale: Scale, shown: Callable[[float], str]) -> Markup:
    lines = []
    for value in values:
        y = scale(value)
        lines.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=f"{y:.1f}", y2=f"{y:.1f}", class_="grid"))
        lines.append(tag("text", shown(value), x=LEFT - 6, y=f"{y + 4:.1f}", text_anchor="end"))
    return tag("g", lines)


def _feet(values: Sequence[float], scale: Scale, across: str) -> Markup:
    labels = [
        tag("text", f"{value:,.10g}", x=f"{scale(value):.1f}", y=HEIGHT - BOTTOM + 15, text_anchor="middle")
        for value in values
    ]
    middle = (LEFT + WIDTH - RIGHT) / 2
    return tag("g", labels, tag("text", across, x=middle, y=HEIGHT - 4, text_anchor="middle", class_="axis"))


def _band(series: Series, x: Scale, y: Scale) -> Markup:
    around = [*thinned(series.low), *reversed(thinned(series.high))]
    if not around:
        return Markup("")
    return tag("polygon", points=_path(around, x, y), class_=f"band c{series.colour}")


def _line(series: Series, x: Scale, y: Scale, shown: Callable[[float], str], across: str) -> Markup:
    points = thinned(series.points)
    dots = [
        tag(
            "circle",
            tag("title", f"{series.name} {shown(b)} at {across} {a:,.6g}"),
            cx=f"{x(a):.1f}",
            cy=f"{y(b):.1f}",
            r=2.5,
        )
        for a, b in (points if series.dots or len(points) == 1 else ())
    ]
    return tag("g", tag("polyline", points=_path(points, x, y)), dots, class_=_looks(series))


def _path(points: Sequence[Point], x: Scale, y: Scale) -> str:
    return " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)


def _looks(series: Series) -> str:
    return f"line c{series.colour}" + (f" d{series.colour}" if series.dashed else "")


def _marks(marks: Sequence[Mark], x: Scale, y: Scale) -> Markup:
    """Rings, each with a line down to the axis and its name beside that line: below rising curves there is room for it."""
    parts = []
    for row, mark in enumerate(sorted(marks, key=lambda mark: -mark.at[0])):
        across, up = x(mark.at[0]), y(mark.at[1])
        left = across < (LEFT + WIDTH - RIGHT) / 2 + 1
        name = tag(
            "text",
            mark.name,
            x=f"{across + (6 if left else -6):.1f}",
            y=f"{HEIGHT - BOTTOM - 6 - LINE * row:.1f}",
            text_anchor="start" if left else "end",
            class_="name",
        )
        foot = tag("line", x1=f"{across:.1f}", x2=f"{across:.1f}", y1=f"{up:.1f}", y2=HEIGHT - BOTTOM, class_="foot")
        ring = tag("circle", tag("title", mark.name), cx=f"{across:.1f}", cy=f"{up:.1f}", r=4.5)
        parts.append(tag("g", foot, ring, name, class_=f"mark c{mark.colour}"))
    return tag("g", parts)


def _legend(series: Sequence[Series]) -> Markup:
    if len(series) == 1:
        return Markup("")
    return tag("span", (tag("span", _swatch(s), s.name, class_="key") for s in series), class_="legend")


def _swatch(series: Series) -> Markup:
    """A short piece of the line, for the legend."""
    piece = tag("g", tag("polyline", points="0,4 26,4"), class_=_looks(series))
    return tag("svg", piece, viewBox="0 0 26 8", aria_hidden="true")
