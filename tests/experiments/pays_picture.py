"""The picture of docs/when-it-pays.md: which jobs a cache pays for.

Input: measured points, the uses at which a cache has paid for itself, and examples to mark. Output: an SVG file that needs no
style sheet. Left to right: what the teacher adds to a step. Bottom to top: how often every stored view is used.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from students.compare.position import uses_that_save
from students.report.chart import Scale
from students.report.markup import Markup, join, tag

WIDTH, HEIGHT = 600, 400
LEFT, RIGHT, TOP, BOTTOM = 56, 150, 34, 58
LEAST_RATIO, MOST_RATIO = 0.05, 300.0
LEAST_USES, MOST_USES = 0.01, 1000.0
SHARES = ((0.0, "#e6f1ea"), (0.25, "#cbe5d5"), (0.5, "#a9d5bb"), (0.75, "#82c29e"), (0.9, "#5bac82"))
"""Fraction of the time that is saved at least -> colour of the region."""
NAMES = (
    (0.13, "saves under 25 %"),
    (0.58, "25–50 %"),
    (1.75, "50–75 %"),
    (5.3, "75–90 %"),
    (52.0, "over 90 % of the time"),
)
"""Ratio at which the name of a region stands, at its top."""
COSTS, INK, SOFT, POINT, MARK = "#f7e3dc", "#1d1f23", "#5f6570", "#1e41a8", "#a8200d"
JOBS = (
    (450.0, "1 view, 90 epochs × 5"),
    (90.0, "1 view, 90 epochs"),
    (30.0, "1 view, 6 epochs × 5"),
    (6.0, "1 view, 6 epochs"),
    (1.0, "90 views, 90 epochs"),
    (6 / 90, "90 views, 6 epochs"),
)
"""Uses -> the job that is named beside the picture; × 5: five students."""


@dataclass(frozen=True)
class Point:
    """One measured teacher and student: the uses at which their cache has paid for itself, and the ends of the interval."""

    name: str
    ratio: float
    even: float
    low: float
    high: float
    """Upper end; infinite where at that end it never pays."""


@dataclass(frozen=True)
class Example:
    """A job that is marked with a letter."""

    letter: str
    name: str
    ratio: float
    uses: float


def _log(low: float, high: float, start: float, stop: float) -> Callable[[float], float]:
    """Logarithmic map from values to coordinates; what lies outside is put on the edge."""
    scale = Scale(math.log(low), math.log(high), start, stop)
    return lambda value: scale(math.log(min(max(value, low), high)))


X = _log(LEAST_RATIO, MOST_RATIO, LEFT, WIDTH - RIGHT)
Y = _log(LEAST_USES, MOST_USES, HEIGHT - BOTTOM, TOP)


def picture(points: Sequence[Point], even: float, examples: Sequence[Example], machine: str) -> str:
    """The whole file. `even`: the uses at which the line of break-even is drawn."""
    about = (
        "When a cache pays. Below the line, where stored views are used less than about once, it costs time. Above it, it saves "
        "more the more often they are used and the more the teacher adds to a step."
    )
    drawn = tag(
        "svg",
        tag("title", "When a cache pays"),
        tag("rect", width=WIDTH, height=HEIGHT, fill="#fff"),
        _regions(even),
        _axes(),
        _line(even),
        (_point(point) for point in points),
        (_example(example) for example in examples),
        _text(f"measured on {machine}", WIDTH - 6, HEIGHT - 6, SOFT, "end", 10),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        width=WIDTH,
        height=HEIGHT,
        role="img",
        aria_label=about,
        font_family="system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif",
    )
    return f"{drawn}\n"


def _text(
    words: str, x: float, y: float, fill: str = INK, anchor: str = "middle", size: int = 11, **more: str
) -> Markup:
    return tag("text", words, x=f"{x:.1f}", y=f"{y:.1f}", fill=fill, text_anchor=anchor, font_size=size, **more)


def _regions(even: float) -> Markup:
    """What is saved, from nothing at the bottom to nearly all at the top right."""
    whole = tag("rect", x=LEFT, y=TOP, width=WIDTH - RIGHT - LEFT, height=HEIGHT - BOTTOM - TOP, fill=COSTS)
    parts = [tag("polygon", points=_above(share, even), fill=colour) for share, colour in SHARES]
    names = [_text(name, X(ratio), TOP + 14, size=10) for ratio, name in NAMES]
    costs = _text("a cache costs more time than it saves", (LEFT + WIDTH - RIGHT) / 2, Y(0.045), font_weight="600")
    return join(whole, parts, names, costs)


def _above(share: float, even: float) -> str:
    """Corners of the region in which at least this fraction is saved."""
    ratios = [LEAST_RATIO * (MOST_RATIO / LEAST_RATIO) ** (step / 200) for step in range(201)]
    edge = [(ratio, needed) for ratio in ratios if (needed := uses_that_save(share, ratio, even)) is not None]
    edge = [(edge[0][0], MOST_USES), *edge, (MOST_RATIO, MOST_USES)]
    return " ".join(f"{X(ratio):.1f},{Y(needed):.1f}" for ratio, needed in edge)


def _axes() -> Markup:
    bottom, middle = HEIGHT - BOTTOM, (LEFT + WIDTH - RIGHT) / 2
    across = [_text(f"{ratio:g}", X(ratio), bottom + 15, SOFT) for ratio in (0.1, 1, 10, 100)]
    up = [_text(f"{uses:g}", LEFT - 6, Y(uses) + 4, SOFT, "end") for uses in (0.01, 0.1, 1, 10, 100, 1000)]
    jobs = [
        join(
            tag(
                "line",
                x1=LEFT,
                x2=WIDTH - RIGHT + 5,
                y1=f"{Y(uses):.1f}",
                y2=f"{Y(uses):.1f}",
                stroke="#fff",
                opacity=0.7,
            ),
            _text(name, WIDTH - RIGHT + 8, Y(uses) + 4, SOFT, "start", 11),
        )
        for uses, name in JOBS
    ]
    turned = _text(
        "uses of each stored view", 14, (TOP + bottom) / 2, transform=f"rotate(-90 14 {(TOP + bottom) / 2:.0f})"
    )
    below = _text("what a connected teacher adds to a step, in steps of the student", middle, bottom + 33)
    heads = (
        _text("uses = epochs × students ÷ views", LEFT, TOP - 14, SOFT, "start"),
        _text("for example", WIDTH - RIGHT + 8, TOP - 14, SOFT, "start"),
    )
    return join(jobs, across, up, turned, below, heads)


def _line(even: float) -> Markup:
    y = f"{Y(even):.1f}"
    line = tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, stroke=INK, stroke_width=1.6)
    return join(line, _text("break-even, and as measured (dots)", WIDTH - RIGHT - 5, Y(even) + 15, INK, "end"))


def _point(point: Point) -> Markup:
    """A measured point with its interval; one that lies outside the picture is put on its edge."""
    x = f"{X(point.ratio):.1f}"
    bar = tag("line", x1=x, x2=x, y1=f"{Y(point.low):.1f}", y2=f"{Y(point.high):.1f}", stroke=POINT, stroke_width=1.2)
    words = f"{point.name}: adds {point.ratio:.2g} steps, has paid for itself after {point.even:.2g} uses"
    dot = tag("circle", tag("title", words), cx=x, cy=f"{Y(point.even):.1f}", r=3.4, fill=POINT)
    return tag("g", bar, dot)


def _example(example: Example) -> Markup:
    x, y = X(example.ratio), Y(example.uses)
    ring = tag("circle", tag("title", example.name), cx=f"{x:.1f}", cy=f"{y:.1f}", r=8, fill="#fff", stroke=MARK)
    return tag("g", ring, _text(example.letter, x, y + 4, MARK, font_weight="700"))
