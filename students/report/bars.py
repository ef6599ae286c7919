"""Stacked horizontal bar charts as inline SVG, with the name above each bar.

Input: bars of numbers. Output: markup. Each bar also shows its total as text, because a length is hard to read off.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from students.report.chart import WIDTH, Scale, ticks
from students.report.markup import Markup, tag

EDGE, ROW, THICK, FEET = 2.0, 40.0, 14.0, 20.0
BROAD = 22.0
"""Margin on the right, for half of the last label."""


@dataclass(frozen=True)
class Part:
    """One of the stacked segments that every bar has."""

    name: str
    colour: int


@dataclass(frozen=True)
class Bar:
    """One bar: a value for each part, the total as text, and single measurements to mark as dots."""

    name: str
    values: Sequence[float]
    words: str
    dots: Sequence[float] = ()


def bar_chart(title: str, parts: Sequence[Part], bars: Sequence[Bar], *, shown: Callable[[float], str]) -> Markup:
    """A chart with its title and legend; lengths start at 0, `shown` formats a value."""
    longest = max((value for bar in bars for value in (sum(bar.values), *bar.dots)), default=0.0)
    marks = ticks(0.0, longest, 5)
    scale = Scale(0.0, max(longest, marks[1] / 2), EDGE, WIDTH - BROAD)
    height = ROW * len(bars) + FEET
    picture = tag(
        "svg",
        _grid([mark for mark in marks if mark <= scale.high], scale, height, shown),
        (_bar(bar, parts, ROW * place, scale, shown) for place, bar in enumerate(bars)),
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        role="img",
        aria_label=f"{title}: {'; '.join(f'{bar.name} {bar.words}' for bar in bars)}",
    )
    return tag("figure", tag("figcaption", title, _legend(parts)), picture, class_="chart bars")


def _bar(bar: Bar, parts: Sequence[Part], top: float, scale: Scale, shown: Callable[[float], str]) -> Markup:
    ends = list(accumulate(bar.values, initial=0.0))
    y = top + 18
    pieces = [
        tag(
            "rect",
            tag("title", f"{bar.name}: {part.name} {shown(value)}"),
            x=f"{scale(start):.1f}",
            y=f"{y:.1f}",
            width=f"{scale(start + value) - scale(start):.1f}",
            height=THICK,
            class_=f"c{part.colour}",
        )
        for part, start, value in zip(parts, ends, bar.values, strict=False)
        if value > 0
    ]
    dots = [
        tag(
            "circle",
            tag("title", f"{bar.name}: {shown(dot)}, once"),
            cx=f"{scale(dot):.1f}",
            cy=f"{y + THICK / 2:.1f}",
            r=2.6,
            class_="dot",
        )
        for dot in bar.dots
    ]
    return tag("g", *_words(bar, top + 13), pieces, dots)


def _words(bar: Bar, y: float) -> tuple[Markup, Markup]:
    name = tag("text", bar.name, x=EDGE, y=f"{y:.1f}", class_="who")
    return name, tag("text", bar.words, x=WIDTH - EDGE, y=f"{y:.1f}", text_anchor="end")


def _grid(values: Sequence[float], scale: Scale, height: float, shown: Callable[[float], str]) -> Markup:
    lines = []
    for place, value in enumerate(values):
        x = f"{scale(value):.1f}"
        lines.append(tag("line", x1=x, x2=x, y1=4, y2=f"{height - FEET + 3:g}", class_="grid"))
        anchor = "middle" if place else "start"
        lines.append(tag("text", shown(value), x=x, y=f"{height - 4:g}", text_anchor=anchor))
    return tag("g", lines)


def _legend(parts: Sequence[Part]) -> Markup:
    if len(parts) == 1:
        return Markup("")
    return tag("span", (tag("span", _swatch(part), part.name, class_="key") for part in parts), class_="legend")


def _swatch(part: Part) -> Markup:
    box = tag("rect", width=26, height=8, class_=f"c{part.colour}")
    return tag("svg", box, viewBox="0 0 26 8", aria_hidden="true")
