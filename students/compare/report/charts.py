"""The pictures of a comparison: where a step goes, what memory it takes, when a cache has paid for itself, what the loss does.

Input: a Comparison and its Verdict. Output: markup. An arm has the same colour and dashes in every chart of lines.
"""

from collections.abc import Iterable, Sequence
from statistics import fmean

from kdcache.base.figures import rate, size
from students.compare.result.comparison import Comparison
from students.compare.result.rows import Row
from students.compare.result.verdict import Verdict
from students.compare.result.words import milliseconds, reach
from students.report.bars import Bar, Part, bar_chart
from students.report.chart import COLOURS, Mark, Point, Series, line_chart
from students.report.markup import Markup, join

WORDS = {"waiting": "waiting for data"}
STAGE_COLOURS = (3, 7, 6, 5, 8)
_UNITS = (("seconds", 3600.0), ("minutes", 60.0), ("hours", 1.0), ("days", 1 / 24))
_EARLY, _FAR = 0.2, 4.0
"""a crossing in so early a part of the job gets a chart of its own; one so many times as far as the job is not drawn"""
_ABOVE = 1.25
"""how far above the lines of a chart their bands are drawn"""


def colour(place: int) -> int:
    """Of the arm at a place."""
    return place % COLOURS + 1


def time_chart(found: Comparison, judged: Verdict) -> Markup:
    """A step of each arm, split by what it was spent on; dots are its repeats."""
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
    """What one process holds of the accelerator, where there is one, and of the machine."""
    unit, times = _bytes(row.peak_memory.mean for row in judged.rows)
    bars = [Bar(row.arm, [row.peak_memory.mean * times], reach(row.peak_memory, size)) for row in judged.rows]
    process = bar_chart(f"Memory of the process at its peak, {unit}", [Part("process", 6)], bars, shown=_number)
    held = [(row, row.allocated, row.reserved) for row in judged.rows if row.allocated and row.reserved]
    if not held:
        return process
    unit, times = _bytes(reserved.mean for _, _, reserved in held)
    parts = (Part("in tensors", 6), Part("also reserved by torch", 3))
    bars = [
        Bar(row.arm, [used.mean * times, (all_of_it.mean - used.mean) * times], reach(used, size))
        for row, used, all_of_it in held
    ]
    return join(bar_chart(f"Memory of the device at its peak, {unit}", parts, bars, shown=_number), process)


def cost_charts(judged: Verdict) -> Markup:
    """Time of the whole job, epoch by epoch; crossings that come early once more, larger."""
    whole = judged.job.epochs * judged.job.students
    near = [row.pays.epochs for row in judged.rows if row.pays and row.pays.epochs <= _FAR * whole]
    far = max(whole, 1.2 * max(near, default=0.0))
    if not near or max(near) >= _EARLY * far:
        return _costs(judged, far, "Time of the whole job")
    first = _costs(judged, 2 * max(near), "Time of the beginning of the job")
    return join(first, _costs(judged, far, "Time of the whole job", marked=False))


def _costs(judged: Verdict, far: float, title: str, *, marked: bool = True) -> Markup:
    """Straight lines: what the build costs, and so much more with every epoch."""
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
    """The interval of what a job of up to `far` epochs costs; none when there was one repeat."""
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
    """The mean over the repeats of each arm, between the least and the largest of them."""
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
    """What must be known to read them."""
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
