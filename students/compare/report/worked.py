"""The costs of a comparison, calculated step by step: formulas with our figures, beside the papers' own figures.

Input: a Comparison and its Verdict. Output: markup.
"""

from collections.abc import Sequence

from kdcache.base.figures import duration, rate, size
from students.compare.report.layout import facts, grid
from students.compare.result.comparison import Comparison
from students.compare.result.papers import DIVEDOC_OFF, DIVEDOC_ON, TINYVIT, divedoc_differences, tinyvit_saving
from students.compare.result.rows import Row
from students.compare.result.sums import Spread, Workload
from students.compare.result.verdict import Verdict
from students.compare.result.words import NOT_THERE, Shown, percent, reach
from students.report.markup import Markup, join, tag

FORMULAS = """
on-stream      M E n t_on / g
off-stream     (V n b + M E n t_off) / g
saves          1 - off-stream / on-stream
break-even     E* = V b / (t_on - t_off)    epochs of one student
               M* = E* / E                  students
device-days    hours × g / 24
money          hours × g × price
""".strip()


def sums_section(found: Comparison, judged: Verdict) -> Markup:
    """The job, the formulas, and the figures in them."""
    worked = [line for row in judged.rows for line in _worked(found, judged, row)]
    seen = (
        "t is the time of a step divided by its images; "
        "b is the time of the build, without loading the teacher, divided by the views."
    )
    return join(
        facts(_job(judged.job)), tag("pre", FORMULAS), tag("p", seen, class_="note"), tag("pre", "\n".join(worked))
    )


def _job(job: Workload) -> list[tuple[str, str]]:
    price = [] if job.price is None else [("price", f"{job.price:g} for an hour of one device")]
    return [
        ("n, images", f"{job.images:,}"),
        ("E, epochs", f"{job.epochs:g}"),
        ("M, students", f"{job.students:,}"),
        ("V, stored views", f"{job.views:,}"),
        ("g, devices", f"{job.gpus:,}"),
        *price,
    ]


def _worked(found: Comparison, judged: Verdict, row: Row) -> list[str]:
    """The formulas with the figures of one arm filled in."""
    job = judged.job
    train = f"{job.students:,} × {job.epochs:g} × {job.images:,} × {_time(_image(found, row))}"
    stored = row.teacher == "stored"
    cost = f"({job.views:,} × {job.images:,} × {_time(_built(found, row))} + {train})" if stored else train
    lines = [f"{row.arm}: {cost} / {job.gpus:,} = {duration(3600 * row.bill.hours.mean)}"]
    on = next((other for other in judged.rows if other.teacher == "connected"), None)
    if on is not None and stored:
        less = f"({_time(_image(found, on))} - {_time(_image(found, row))})"
        after = (
            "never" if row.pays is None else f"{rate(row.pays.epochs)} epochs, M* = {rate(row.pays.students)} students"
        )
        lines.append(f"{' ' * len(row.arm)}  E* = {job.views:,} × {_time(_built(found, row))} / {less} = {after}")
    return lines


def _image(found: Comparison, row: Row) -> float:
    return row.step_seconds.mean / found.batch


def _built(found: Comparison, row: Row) -> float:
    return found.built[found.caches[row.arm]].image.mean


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def papers_section(judged: Verdict) -> Markup:
    """The same tables with the papers' figures and with ours."""
    on = next((row for row in judged.rows if row.teacher == "connected"), None)
    pairs = [] if on is None else [(on, row) for row in judged.rows if row.teacher == "stored"]
    return join(_tinyvit(judged.job, pairs), _divedoc(judged, pairs))


def _tinyvit(job: Workload, pairs: Sequence[tuple[Row, Row]]) -> Markup:
    build, train = TINYVIT["build GPU-days"], TINYVIT["train GPU-days"]
    paper = [f"{days:g} days" for days in (build, train, build + train, TINYVIT["on GPU-days"])]
    lines = [["TinyViT", *paper, percent(tinyvit_saving())]]
    for on, row in pairs:
        times = (row.bill.build_hours, row.bill.train_hours, row.bill.hours, on.bill.hours)
        saved = reach(row.saves, percent)
        lines.append([row.arm, *(_device_time(job, hours) for hours in times), saved])
    caption = "Time of devices. TinyViT: arXiv 2207.10666, section D; the other lines are the job above."
    return join(
        grid(("", "to store", "to train", "together", "connected", "saves"), lines), tag("p", caption, class_="note")
    )


def _device_time(job: Workload, hours: Spread) -> str:
    return duration(3600 * job.gpus * hours.mean)


def _divedoc(judged: Verdict, pairs: Sequence[tuple[Row, Row]]) -> Markup:
    less = divedoc_differences()
    lines = [
        ["DIVE-Doc, connected", *_paper(DIVEDOC_ON)],
        ["DIVE-Doc, stored", *_paper(DIVEDOC_OFF)],
        ["  saves", f"{less['hours saved']:g} hours", f"{less['MiB saved']:,.0f} MiB", f"-{less['GB more']:g} GB"],
    ]
    for place, (on, row) in enumerate(pairs):
        lines += [] if place else [[on.arm, *_holds(judged, on)]]
        lines += [[row.arm, *_holds(judged, row)], ["  saves", *_saved(on, row)]]
    caption = (
        "Time of the job; memory of the device, or of the process where there is none; disk for images and cache. "
        "DIVE-Doc: table 1. A negative saving is a cost."
    )
    return join(grid(("", "time", "memory", "disk"), lines), tag("p", caption, class_="note"))


def _paper(figures: dict[str, float]) -> tuple[str, str, str]:
    return f"{figures['hours']:g} hours", f"{figures['MiB']:,.0f} MiB", f"{figures['GB']:g} GB"


def _memory(row: Row) -> Spread:
    return row.peak_memory if row.reserved is None else row.reserved


def _holds(judged: Verdict, row: Row) -> tuple[str, str, str]:
    disk = (judged.image_bytes or 0) + row.cache_bytes
    time, memory = duration(3600 * row.bill.hours.mean), size(_memory(row).mean)
    return time, memory, size(disk) if disk else NOT_THERE


def _saved(on: Row, off: Row) -> tuple[str, str, str]:
    memory, disk = _memory(on).mean - _memory(off).mean, on.cache_bytes - off.cache_bytes
    hours = on.bill.hours.mean - off.bill.hours.mean
    return _signed(3600 * hours, duration), _signed(memory, size), _signed(disk, size)


def _signed(value: float, shown: Shown) -> str:
    return ("-" if value < 0 else "") + shown(abs(value))
