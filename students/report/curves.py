"""Curves of a training, drawn from metrics.jsonl: loss, learning rate, validation scores, throughput."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kdcache.errors import Mismatch
from students.judging.registry import TASKS
from students.report.chart import MOST_POINTS, Point, Series, line_chart
from students.report.markup import Markup, tag
from students.runs.metrics import LOSSES, latest_by_step
from students.runs.record import RunRecord

Line = dict[str, Any]


Drawn = Mapping[str | None, Mapping[str, str]]
"""Validation set -> its numbers to draw -> title of each curve."""


def curves_of(record: RunRecord) -> Drawn:
    """Curves to draw for each validation set, as its task declares them."""
    sets = {each.name: TASKS.get(each.task, unknown=Mismatch).curves for each in record.validation}
    return sets or {None: TASKS.get(record.recipe.judge.task, unknown=Mismatch).curves}


def curves(lines: Sequence[Line], drawn: Drawn) -> Markup:
    """All charts that have data, or a sentence if none has."""
    train, val = latest_by_step(lines, "train"), latest_by_step(lines, "val")
    if not train and not val:
        return tag("p", "Nothing has been measured yet.", class_="note")
    charts = [_loss(train, val), *_validation(val, drawn), _rate(train), _throughput(train), _waiting(train)]
    thinned = len(train) > MOST_POINTS
    note = (
        f"Each point of a training curve is the mean of about {len(train) // MOST_POINTS + 1} logged lines."
        if thinned
        else ""
    )
    return tag("div", tag("div", charts, class_="charts"), tag("p", note, class_="note") if note else "")


def points(lines: Iterable[Line], key: str, times: float = 1.0) -> list[Point]:
    """(step, value) of every line that has the value."""
    return [(float(line["step"]), line[key] * times) for line in lines if line.get(key) is not None]


def _loss(train: list[Line], val: list[Line]) -> Markup:
    names = list(dict.fromkeys(name for line in train for name in line.get(LOSSES, {})))
    # A single loss is the training loss up to its weight, so it is not drawn again. The first two colours are taken.
    parts = [Series(name, points([_part(line, name) for line in train], name), 3 + n) for n, name in enumerate(names)]
    series = [
        Series("training", points(train, "loss"), 1),
        *(parts if len(parts) > 1 else []),
        *(
            Series(f"validation {name}" if name else "validation", points(its, "loss"), 2 + place, dots=True)
            for place, (name, its) in enumerate(_by_set(val).items())
        ),
    ]
    return line_chart("Loss", series, shown=_number, across="step")


def _part(line: Line, name: str) -> Line:
    return {"step": line["step"], name: line.get(LOSSES, {}).get(name)}


def _by_set(val: list[Line]) -> dict[str | None, list[Line]]:
    found: dict[str | None, list[Line]] = {}
    for line in val:
        found.setdefault(line.get("set"), []).append(line)
    return found


def _validation(val: list[Line], drawn: Drawn) -> list[Markup]:
    """One chart per set; fractions of 1 are drawn in per cent."""
    charts = []
    for name, lines in _by_set(val).items():
        keys = drawn.get(name) or {"score": "score"}
        shares = all(0 <= line[key] <= 1 for line in lines for key in keys if line.get(key) is not None)
        series = [
            Series(called, points(lines, key, 100 if shares else 1), 1 + place, dots=True)
            for place, (key, called) in enumerate(keys.items())
        ]
        title = f"Validation: {name}" if name else "Validation"
        charts.append(line_chart(title, series, shown=_percent if shares else _number, across="step"))
    return charts


def _rate(train: list[Line]) -> Markup:
    series = [Series("learning rate", points(train, "rate"), 1)]
    return line_chart("Learning rate", series, shown=_number, across="step", floor=0.0)


def _throughput(train: list[Line]) -> Markup:
    series = [Series("images per second", points(train, "images_per_second"), 1)]
    return line_chart("Images per second", series, shown=_number, across="step", floor=0.0)


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
