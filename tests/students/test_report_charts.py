"""Charts show every point where it belongs, and text in a page stays text."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kdcache.base.visible import on_a_line
from students.report.chart import Series, line_chart, thinned, ticks
from students.report.curves import _number
from students.report.markup import Markup, tag
from students.runs.metrics import latest_by_step
from tests.students.reader import Reader


@given(st.text(), st.text())
def test_text_survives_the_page_and_markup_is_only_what_tag_made(text, value):
    parsed = Reader.__new__(Reader)
    Reader.__init__(parsed, str(tag("p", text, tag("b", "x"), title=value)))
    assert [name for name, _ in parsed.seen] == ["p", "b"]
    assert parsed.seen[0][1] == {"title": visible(value)}
    assert "".join(parsed.text) == f"{visible(text)}x"


def visible(text):
    """What commands a page or a terminal is written out; the rest is the text itself."""
    return "\n".join(map(on_a_line, text.split("\n")))


def line(step, loss=3.0, kind="train"):
    return {"kind": kind, "step": step, "loss": loss}


def test_of_a_step_that_was_done_twice_the_last_counts():
    lines = [line(1), line(2, 9.0), line(2, 0.7, "val"), line(2, 1.0), line(3)]
    assert [(one["step"], one["loss"]) for one in latest_by_step(lines, "train")] == [(1, 3.0), (2, 1.0), (3, 3.0)]


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1e7), st.floats(-1e6, 1e6)), min_size=1, max_size=20))
def test_every_point_lies_inside_the_chart(points):
    page = Reader(str(line_chart("x", [Series("a", points, 1, dots=True)], shown=str, across="step")))
    for _, place in [(name, a) for name, a in page.seen if name == "circle"]:
        assert 47.9 <= float(place["cx"]) <= 400
        assert 9.9 <= float(place["cy"]) <= 184.1


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9))
@example(0.0, 5e-324)
@example(0.0, 0.0)
@example(-3.0, 0.0)
def test_ticks_reach_around_the_values_and_are_few(low, span):
    marks = ticks(low, low + span, 5)
    slack = 1e-6 * max(abs(low), abs(low + span), 1e-90)
    assert marks[0] <= low + slack
    assert marks[-1] >= low + span - slack
    assert 2 <= len(marks) <= 9


def test_small_rates_fit_beside_the_axis():
    assert [_number(value) for value in (0.0, 0.001, 0.000125, 5e-05, 2.5, 1234.0)] == [
        "0", "0.001", "1.25e-4", "5e-5", "2.5", "1,234",
    ]  # fmt: skip


def test_a_long_series_keeps_its_mean():
    points = [(float(x), float(x % 7)) for x in range(6000)]
    few = thinned(points, 300)
    assert len(few) == 300
    assert sum(y for _, y in few) / 300 == pytest.approx(sum(y for _, y in points) / 6000)
    assert thinned(points[:300], 300) == points[:300]


def test_nothing_to_draw_is_nothing():
    assert line_chart("x", [Series("a", [], 1)], shown=str, across="step") == Markup("")
