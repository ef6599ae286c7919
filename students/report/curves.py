"""The curves of a training: loss, learning rate, validation accuracy, throughput, from the lines of metrics.jsonl."""

from collections.abc import Iterable, Sequence
from typing import Any

from students.report.chart import MOST_POINTS, Point, Series, line_chart
from students.report.markup import Markup, tag
from students.runs.metrics import LOSSES

Line = dict[str, Any]


def latest_by_step(lines: Iterable[Line], kind: str) -> list[Line]:
    """The lines of a kind by step; of a step that was done twice (the run was stopped and resumed) the last one."""
    found = {line["step"]: line for line in lines if line["kind"] == kind}
    return [found[step] for step in sorted(found)]


def curves(lines: Sequence[Line]) -> Markup:
    """All charts there is something to draw for, or a sentence."""
    train, val = latest_by_step(lines, "train"), latest_by_step(lines, "val")
    if not train and not val:
        return tag("p", "Nothing has been measured yet.", class_="note")
    charts = [_loss(train, val), _accuracy(val), _rate(train), _throughput(train), _waiting(train)]
    thinned = len(train) > MOST_POINTS
    note = (
        f"Lines of training are means over about {len(train) // MOST_POINTS + 1} measurements each." if thinned else ""
    )
    return tag("div", tag("div", charts, class_="charts"), tag("p", note, class_="note") if note else "")


def points(lines: Iterable[Line], key: str, times: float = 1.0) -> list[Point]:
    """(step, value) wherever the value was measured."""
    return [(float(line["step"]), line[key] * times) for line in lines if line.get(key) is not None]


def _loss(train: list[Line], val: list[Line]) -> Markup:
    names = list(dict.fromkeys(name for line in train for name in line.get(LOSSES, {})))
    # One loss alone is the loss of the training, up to its weight. The first two colours are taken.
    parts = [Series(name, points([_part(line, name) for line in train], name), 3 + n) for n, name in enumerate(names)]
    series = [
        Series("training", points(train, "loss"), 1),
        *(parts if len(parts) > 1 else []),
        Series("validation", points(val, "loss"), 2, dots=True),
    ]
    return line_chart("Loss", series, shown=_number, across="step")


def _part(line: Line, name: str) -> Line:
    return {"step": line["step"], name: line.get(LOSSES, {}).get(name)}


def _accuracy(val: list[Line]) -> Markup:
    series = [
        Series("top-1", points(val, "top1", 100), 1, dots=True),
        Series("top-5", points(val, "top5", 100), 2, dots=True),
        Series("one of the nearest three", points(val, "top3", 100), 2, dots=True),
    ]
    return line_chart("Validation accuracy", series, shown=_percent, across="step")


def _rate(train: list[Line]) -> Markup:
    series = [Series("learning rate", points(train, "rate"), 1)]
    return line_chart("Learning rate", series, shown=_number, across="step", floor=0.0)


def _throughput(train: list[Line]) -> Markup:
    series = [Series("images a second", points(train, "images_per_second"), 1)]
    return line_chart("Images a second", series, shown=_number, across="step", floor=0.0)


def _waiting(train: list[Line]) -> Markup:
    of_teacher = points(train, "teacher", 100)
    series = [
        Series("waiting for data", points(train, "waiting", 100), 1),
        *([Series("waiting for the teacher", of_teacher, 2)] if any(share for _, share in of_teacher) else []),
    ]
    return line_chart("Time spent waiting", series, shown=_percent, across="step", floor=0.0)


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if not value or abs(value) >= 0.001:
        return f"{value:.3g}"
    digits, _, power = f"{value:.2e}".partition("e")  # 0.00125 would not fit beside an axis
    return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"


def _percent(value: float) -> str:
    return f"{value:.4g}%"
