"""The charts of a comparison: time of a step by stage, memory, cost of the job with the break-even, and loss.

Input: a Comparison and its Verdict. Output: markup. An arm has the same colour and dashes in every chart of lines.
"""

from collections.abc import Iterable, Sequence
from statistics import fmean

from kdcache.base.figures import duration, rate, size
from students.compare.result.comparison import Comparison
from students.compare.result.rows import Row
from students.compare.result.verdict import Verdict
from students.compare.result.words import milliseconds, reach
from students.report.bars import Bar, Part, bar_chart
from students.report.chart import COLOURS, Mark, Point, Series, line_chart
from students.report.markup import Markup, join, tag

WORDS = {"waiting": "waiting for data"}
STAGE_COLOURS = (3, 7, 6, 5, 8)
_UNITS = (("seconds", 3600.0), ("minutes", 60.0), ("hours", 1.0), ("days", 1 / 24))
_EARLY, _FAR = 0.2, 4.0
"""A break-even before the fraction _EARLY of the job gets a zoomed chart; one later than _FAR times the job is not
drawn."""
_ABOVE = 1.25
"""Height at which a confidence band is cut off, as a factor of the highest line of its chart."""


def colour(place: int) -> int:
    """Colour number of the arm at this position."""
    return place % COLOURS + 1


def answer_chart(judged: Verdict) -> Markup:
    """Time of the whole job with each arm that answers the question: building the cache, and training."""
    rows = [row for row in judged.rows if row.teacher == "connected" or row.arm == judged.answer.arm]
    if judged.answer.arm is None:
        return Markup("")
    hours = [(row.bill.build_hours.mean, row.bill.train_hours.mean) for row in rows]
    unit, times = next((unit for unit in _UNITS if max(map(sum, hours)) * unit[1] < 120), _UNITS[-1])
    parts = (Part("building the cache", 3), Part("training", 6))
    bars = [
        Bar(row.arm, [build * times, train * times], reach(row.bill.hours, lambda value: duration(3600 * value)))
        for row, (build, train) in zip(rows, hours, strict=True)
    ]
    return tag("div", bar_chart(f"Time of the whole training, {unit}", parts, bars, shown=_number), class_="charts one")


def time_chart(found: Comparison, judged: Verdict) -> Markup:
    """Time of a step of each arm, split by stage; dots are single repeats."""
    names = [WORDS.get(stage, stage) for stage in judged.rows[0].stages]
    parts = [Part(name, of) for name, of in zip((*names, "rest"), STAGE_COLOURS, strict=True)]
    bars = []
    for row in judged.rows:
        stages = [spread.mean for spread in row.stages.values()]
        rest = max(0.0, row.step_seconds.mean - sum(stages))
        values = [1000 * seconds for seconds in (*stages, rest)]
        bars.append(Bar(row.arm, values, reach(row.step_seconds, milliseconds), _repeats(found, row)))
    return bar_chart("Time of a step, milliseconds", parts, bars, shown=_number)


def _repeats(found: Comparison, row: Row) -> list[float]:
    each = [1000 * one.step_seconds for one in found.measured[row.arm]]
    return each if len(each) > 1 else []


def memory_charts(judged: Verdict) -> Markup:
    """Peak memory of one process: on the accelerator, where there is one, and on the host."""
    unit, times = _bytes(row.peak_memory.mean for row in judged.rows)
    bars = [Bar(row.arm, [row.peak_memory.mean * times], reach(row.peak_memory, size)) for row in judged.rows]
    process = bar_chart(f"Memory of the process at its peak, {unit}", [Part("process", 6)], bars, shown=_number)
    on_device = [(row, row.allocated, row.reserved) for row in judged.rows if row.allocated and row.reserved]
    if not on_device:
        return process
    unit, times = _bytes(reserved.mean for _, _, reserved in on_device)
    parts = (Part("in tensors", 6), Part("reserved by torch, unused", 3))
    bars = [
        Bar(row.arm, [used.mean * times, (all_of_it.mean - used.mean) * times], reach(used, size))
        for row, used, all_of_it in on_device
    ]
    return join(bar_chart(f"Memory of the device at its peak, {unit}", parts, bars, shown=_number), process)


def cost_charts(judged: Verdict) -> Markup:
    """Time of the whole job over its epochs; if the lines cross early, a second chart shows the beginning enlarged."""
    whole = judged.job.epochs * judged.job.students
    near = [row.pays.epochs for row in judged.rows if row.pays and row.pays.epochs <= _FAR * whole]
    far = max(whole, 1.2 * max(near, default=0.0))
    if not near or max(near) >= _EARLY * far:
        return _costs(judged, far, "Time of the whole job")
    first = _costs(judged, 2 * max(near), "Time of the beginning of the job")
    return join(first, _costs(judged, far, "Time of the whole job", marked=False))


def _costs(judged: Verdict, far: float, title: str, *, marked: bool = True) -> Markup:
    """One straight line per arm: at epoch 0 the cost of the build, to which every epoch adds its cost of training."""
    share = far / (judged.job.epochs * judged.job.students)
    costs = [(row.bill.build_hours.mean, share * row.bill.train_hours.mean) for row in judged.rows]
    most = max(build + train for build, train in costs)
    unit, times = next((unit for unit in _UNITS if most * unit[1] < 120), _UNITS[-1])
    series, marks = [], []
    for place, (row, (build, train)) in enumerate(zip(judged.rows, costs, strict=True)):
        low, high = _edges(row, far, share, times, most)
        points = [(0.0, build * times), (far, (build + train) * times)]
        series.append(Series(row.arm, points, colour(place), dashed=True, low=low, high=high))
        if marked and row.pays and row.pays.epochs <= far:
            at = row.pays.epochs, (build + train * row.pays.epochs / far) * times
            name = f"{row.arm.partition(':')[2] or row.arm}: {rate(row.pays.epochs)} epochs"
            marks.append(Mark(name, at, colour(place)))
    across = "epochs" if judged.job.students == 1 else "epochs, of all students together"
    return line_chart(f"{title}, {unit}", series, shown=_number, across=across, floor=0.0, marks=marks)


def _edges(row: Row, far: float, share: float, times: float, most: float) -> tuple[list[Point], list[Point]]:
    """Lower and upper edge of the 95 % interval of the cost up to `far` epochs; both empty after a single repeat."""
    if row.bill.hours.half is None:
        return [], []
    low, high = [], []
    for step in range(21):
        total = row.bill.build_hours.plus(row.bill.train_hours.times(share * step / 20))
        half = total.half or 0.0
        low.append((far * step / 20, times * max(0.0, total.mean - half)))
        high.append((far * step / 20, times * min(_ABOVE * most, total.mean + half)))
    return low, high


def loss_chart(found: Comparison) -> Markup:
    """Mean loss over the repeats of each arm, with a band from the lowest repeat to the highest."""
    series = []
    for place, arm in enumerate(found.arms):
        steps = list(zip(*(one.losses for one in found.measured[arm.name]), strict=True))
        several = len(found.measured[arm.name]) > 1
        low, high = (_curve(map(min, steps)), _curve(map(max, steps))) if several else ([], [])
        series.append(Series(arm.name, _curve(map(fmean, steps)), colour(place), dashed=True, low=low, high=high))
    return line_chart("Loss while training", series, shown=lambda value: f"{value:.4g}", across="step")


def _curve(values: Iterable[float]) -> list[Point]:
    return [(float(step), value) for step, value in enumerate(values, start=1)]


def _bytes(counts: Iterable[float]) -> tuple[str, float]:
    return ("GB", 1e-9) if max(counts) >= 1e9 else ("MB", 1e-6)


def _number(value: float) -> str:
    return f"{value:,.6g}"


def note(found: Comparison) -> Sequence[str]:
    """Notes below the charts."""
    several = any(len(each) > 1 for each in found.measured.values())
    taught = {arm.teacher == "none" for arm in found.arms}
    return [
        *(
            ["Dots on bars are single repeats; bands of losses reach from the lowest repeat to the highest."]
            if several
            else []
        ),
        *(["Bands of time are 95 % intervals, cut off well above the lines."] if several else []),
        *(
            ["A loss against true classes and one against a teacher are not the same quantity."]
            if len(taught) > 1
            else []
        ),
    ]
