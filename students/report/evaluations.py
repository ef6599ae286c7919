"""The stored evaluations of a run as HTML: each report as its task shows it."""

from collections.abc import Mapping, Sequence

from kdcache.base.figures import plural
from students.base.task import BarChart, Shown, Table
from students.judging.kept import Evaluation
from students.report.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH
from students.report.markup import Markup, join, tag

_REJECTED = 200
"""Largest number of unreadable images listed on a page."""


def evaluation_section(found: Mapping[str, Evaluation], weights: str | None, run: str) -> Markup:
    """All evaluations; those of earlier weights of the run are marked with *."""
    if not found:
        return tag("p", "None yet. To make one: ", tag("code", f"kd eval {run}"), class_="note")
    named = [(e.shown, e.weights_sha256 == weights) for e in found.values()]
    parts = [_report(shown, fresh) for shown, fresh in named]
    if not all(fresh for _, fresh in named):
        parts.append(
            tag("p", "* judged with earlier weights; the run has been trained further since then.", class_="note")
        )
    return join(parts)


def _report(shown: Shown, fresh: bool) -> Markup:
    facts = tag("table", (tag("tr", tag("th", key), tag("td", value)) for key, value in shown.pairs), class_="facts")
    tables = [_table(each) for each in (*shown.tables, *shown.details)]
    charts = [bar_chart(each) for each in shown.charts]
    left, right = tables[::2], [*tables[1::2], *charts]
    pair = tag("div", tag("div", left), tag("div", right), class_="pair") if right else join(left)
    notes = [tag("p", f"{warning}.", class_="note") for warning in shown.warnings]
    title = tag("h3", shown.title + ("" if fresh else " *"))
    return join([title, facts, pair, *notes, _unusable(shown.rejected)])


def _table(of: Table) -> Markup:
    drawn = table(of.heads, of.rows, of.numbers)
    return join([tag("h4", of.title), drawn]) if of.title else drawn


def _unusable(rejected: Mapping[str, str]) -> Markup:
    if not rejected:
        return Markup("")
    summary = tag("summary", f"{plural(len(rejected), 'image')} cannot be read")
    return tag("details", summary, table(("image", "why"), list(rejected.items())[:_REJECTED]))


def bar_chart(chart: BarChart) -> Markup:
    """Bars from 0 % to 100 % over an axis from 0 % to 100 %."""
    side_x, side_y = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    width = side_x / max(len(chart.bars), 1)
    bars = [
        tag(
            "rect",
            tag("title", bar.remark),
            x=f"{LEFT + place * width + 1:.1f}",
            y=f"{TOP + side_y * (1 - bar.height):.1f}",
            width=f"{max(width - 2, 1):.1f}",
            height=f"{side_y * bar.height:.1f}",
            opacity=f"{0.25 + 0.75 * bar.weight:.2f}",
            fill="currentColor",
        )
        for place, bar in enumerate(chart.bars)
        if bar.weight
    ]
    edge = tag("line", x1=LEFT, y1=HEIGHT - BOTTOM, x2=WIDTH - RIGHT, y2=TOP, class_="grid") if chart.diagonal else ""
    feet = [
        tag("text", f"{share:.0%}", x=LEFT + side_x * share, y=HEIGHT - BOTTOM + 15, text_anchor="middle")
        for share in (0, 0.5, 1)
    ]
    sides = [
        tag("text", f"{share:.0%}", x=LEFT - 6, y=TOP + side_y * (1 - share) + 4, text_anchor="end")
        for share in (0, 0.5, 1)
    ]
    axis = tag("text", chart.axis, x=LEFT + side_x / 2, y=HEIGHT - 4, text_anchor="middle")
    drawing = tag(
        "svg", edge, tag("g", bars, class_="c1"), feet, sides, axis,
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", role="img", aria_label=chart.title,
    )  # fmt: skip
    note = tag("p", chart.note, class_="note") if chart.note else ""
    return tag("figure", tag("figcaption", chart.title), drawing, note, class_="chart")


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], numbers: tuple[int, ...] = ()) -> Markup:
    """A table; the columns in `numbers` are right-aligned."""
    kind = ["n" if place in numbers else "t" for place in range(len(heads))]
    top = tag("tr", (tag("th", head, class_=kind[place]) for place, head in enumerate(heads)))
    body = (tag("tr", (tag("td", cell, class_=kind[place]) for place, cell in enumerate(row))) for row in rows)
    return tag("div", tag("table", tag("thead", top), tag("tbody", body)), class_="scroll")
