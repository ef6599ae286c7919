"""The table of a comparison, the same in the terminal and on the page.

Input: the comparison and its verdict. Output: a row for each figure, a cell for each arm.
"""

from collections.abc import Callable, Sequence

from kdcache.base.figures import duration, plural, rate, size
from students.compare.result.comparison import Comparison
from students.compare.result.rows import Row
from students.compare.result.sums import Spread
from students.compare.result.verdict import Verdict, epochs
from students.compare.result.words import NOT_THERE, joules, kilowatt_hours, milliseconds, percent, reach, times


def table(found: Comparison, judged: Verdict) -> list[list[str]]:
    """Rows of a name and one cell per arm."""
    rows = judged.rows
    lines = [
        _line("disk, images", rows, lambda _: size(judged.image_bytes) if judged.image_bytes else "none"),
        _line("disk, rows of cache", rows, lambda row: size(row.cache_bytes) if row.cache_bytes else NOT_THERE),
        _line("memory, process", rows, lambda row: reach(row.peak_memory, size)),
        _line("memory, device", rows, lambda row: reach(row.allocated, size)),
        _line("  reserved", rows, lambda row: reach(row.reserved, size)),
        _line("largest batch", rows, _room),
        _line(f"devices for {found.batch:,}", rows, _devices),
        _line("a step", rows, lambda row: reach(row.step_seconds, milliseconds)),
        *(_line(f"  {stage}", rows, _of(stage)) for stage in rows[0].stages),
        _line("energy a step", rows, lambda row: reach(row.energy, joules)),
        _line("images/s", rows, lambda row: f"{row.images_per_second.mean:,.3g}"),
        _line("job: build", rows, lambda row: _hours(row.bill.build_hours) if row.cache_bytes else NOT_THERE),
        _line("job: train", rows, lambda row: _hours(row.bill.train_hours)),
        _line("job: in all", rows, lambda row: _hours(row.bill.hours)),
        _line("  saves", rows, lambda row: reach(row.saves, percent)),
        _line("  device-days", rows, lambda row: reach(row.bill.device_days, rate) if row.bill.money else NOT_THERE),
        _line("  money", rows, lambda row: reach(row.bill.money, rate)),
        _line("  energy", rows, lambda row: reach(row.bill.energy, kilowatt_hours)),
        _line("pays after", rows, _pays),
        _line("last loss", rows, lambda row: f"{row.loss.mean:.4f}"),
        _line(found.metric, rows, lambda row: "n/a" if row.score is None else reach(row.score, found.measure.text)),
    ]
    return [line for line in lines if any(cell != NOT_THERE for cell in line[1:])]


def heading(found: Comparison, judged: Verdict) -> list[tuple[str, str]]:
    """Teacher, student, steps, machine and job as (name, text)."""
    job, teacher = judged.job, found.teacher
    repeats = len(found.measured[found.arms[0].name])
    stamp = " RANDOM WEIGHTS" if teacher.has_random_weights else ""
    span = times(job.epochs, "epoch", "epochs") + (" of the recipe" if job.epochs == found.recipe_epochs else "")
    work = f"{plural(job.images, 'image')} × {span} × {plural(job.students, 'student')}"
    return [
        ("teacher", f"{teacher.family} {teacher.size}{stamp}"),
        ("student", f"{found.student} at {found.pixels} pixels, recipe {found.recipe}"),
        ("each", f"{found.steps} steps of {plural(found.batch, 'image')}, {plural(repeats, 'repeat')}"),
        ("on", f"{found.device}, {found.machine}"),
        ("job", f"{work}, {plural(job.views, 'view')}, {plural(job.gpus, 'device')}"),
    ]


def _line(name: str, rows: Sequence[Row], cell: Callable[[Row], str]) -> list[str]:
    return [name, *(cell(row) for row in rows)]


def _of(stage: str) -> Callable[[Row], str]:
    return lambda row: milliseconds(row.stages[stage].mean)


def _hours(hours: Spread) -> str:
    return reach(hours, lambda value: duration(value * 3600))


def _pays(row: Row) -> str:
    if row.saves is None:
        return NOT_THERE
    return "never" if row.pays is None else f"{epochs(row.pays)} epochs"


def _room(row: Row) -> str:
    if row.room is None:
        return NOT_THERE
    if not row.room.largest:
        return "none"
    return f"{row.room.largest:,}{' or more' if row.room.all else ''} in {size(row.room.memory)}"


def _devices(row: Row) -> str:
    if row.room is None:
        return NOT_THERE
    return "too large" if row.devices is None else plural(row.devices, "device")
