"""Line charts as inline SVG: no script, readable in light and dark, drawn from plain points.

Input: series of (x, y). Output: markup. Points that carry a remark show it when the pointer rests on them.
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
"""a longer series is drawn as means over equal stretches"""


@dataclass(frozen=True)
class Series:
    """One line."""

    name: str
    points: Sequence[Point]
    colour: int
    """1 to 4: which of the page's colours"""
    dots: bool = False
    """few and exact points: each is marked"""


@dataclass(frozen=True)
class Scale:
    """From values to places along one side."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """Where a value lies."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)


def line_chart(
    title: str, series: Sequence[Series], *, shown: Callable[[float], str], across: str, floor: float | None = None
) -> Markup:
    """A chart with its title and legend. `shown` writes a value, `floor` is a value the axis must reach; x begins at 0."""
    drawn = [s for s in series if s.points]
    if not drawn:
        return Markup("")
    xs = [x for s in drawn for x, _ in s.points]
    ys = [y for s in drawn for _, y in s.points] + ([] if floor is None else [floor])
    x_ticks, y_ticks = ticks(0, max(xs), 5), ticks(min(ys), max(ys), 5)
    x_scale = Scale(0, max(xs) or 1, LEFT, WIDTH - RIGHT)
    y_scale = Scale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP)
    picture = tag(
        "svg",
        _grid(y_ticks, y_scale, shown),
        _feet([t for t in x_ticks if t <= x_scale.high], x_scale, across),
        (_line(s, x_scale, y_scale, shown, across) for s in drawn),
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
        role="img",
        aria_label=f"{title}: {', '.join(s.name for s in drawn)}",
    )
    return tag("figure", tag("figcaption", title, _legend(drawn)), picture, class_="chart")


def ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round values from at most `low` to at least `high`; always two or more."""
    largest = max(abs(low), abs(high))
    if high - low <= max(1e-12 * largest, 1e-100):
        low, high = (low - largest / 2, high + largest / 2) if largest > 1e-100 else (0.0, 1.0)
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> Sequence[Point]:
    """At most `most` points: means over equal stretches of a longer series."""
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


def _line(series: Series, x: Scale, y: Scale, shown: Callable[[float], str], across: str) -> Markup:
    points = thinned(series.points)
    path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)
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
    return tag("g", tag("polyline", points=path), dots, class_=f"line c{series.colour}")


def _legend(series: Sequence[Series]) -> Markup:
    if len(series) == 1:
        return Markup("")
    return tag("span", (tag("span", s.name, class_=f"key c{s.colour}") for s in series), class_="legend")
