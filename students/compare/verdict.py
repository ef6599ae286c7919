"""What a comparison says: rows of the table, totals, and a few plain sentences, also when the cache does not pay.

Input: a Comparison. Output: plain records, from which the command line and the page make their tables.
"""

from kdcache.strict import Strict
from students.compare.arms import Arm
from students.compare.measure import STAGES, Measured
from students.compare.run import Built, Comparison
from students.compare.sums import Bill, Job, Spread, bill, break_even_epochs, break_even_students, saved

NOTHING = Built(codec="none", bytes=0, seconds=0.0, views=1, rows=1)


class Row(Strict):
    """One arm, as the papers' tables have it."""

    arm: str
    teacher: str
    cache_bytes: int
    peak_memory: Spread
    allocated: Spread | None
    reserved: Spread | None
    step_seconds: Spread
    stages: dict[str, Spread]
    images_per_second: Spread
    energy: Spread | None
    build_seconds: float
    top1: Spread | None
    loss: Spread
    """of the last step"""
    bill: Bill
    """of the job"""


class Verdict(Strict):
    """All of it."""

    rows: tuple[Row, ...]
    job: Job
    break_even: dict[str, float | None]
    """off-stream arm -> epochs of one student after which its cache has paid for itself; None: never"""
    break_even_students: dict[str, float | None]
    sentences: tuple[str, ...]


def verdict(found: Comparison) -> Verdict:
    """Add up and judge."""
    job = found.project or found.job
    rows = tuple(_row(found, arm, job) for arm in found.arms)
    on = next((row for arm, row in zip(found.arms, rows, strict=True) if arm.teacher == "connected"), None)
    even, students = {}, {}
    for arm, row in zip(found.arms, rows, strict=True):
        if on is not None and arm.teacher == "stored":
            build = _built(found, arm).seconds_an_image
            times = _seconds(on, found), _seconds(row, found)
            even[arm.name] = break_even_epochs(job, *times, build)
            students[arm.name] = break_even_students(job, *times, build)
    sentences = (*_equality(found), *_worth(found, rows, on, job, even))
    return Verdict(rows=rows, job=job, break_even=even, break_even_students=students, sentences=sentences)


def _seconds(row: Row, found: Comparison) -> float:
    return row.step_seconds.mean / found.batch


def _built(found: Comparison, arm: Arm) -> Built:
    """The cache an arm needs; none where the teacher is connected or nobody speaks."""
    return found.built[found.codec_of(arm)] if arm.teacher == "stored" else NOTHING


def _row(found: Comparison, arm: Arm, job: Job) -> Row:
    each, built = found.measured[arm.name], _built(found, arm)
    step = Spread.of([one.step_seconds for one in each])
    share = job.images / found.job.images * job.views / found.job.views
    return Row(
        arm=arm.name,
        teacher=arm.teacher,
        cache_bytes=round(built.bytes * share),
        peak_memory=Spread.of([float(one.peak_memory) for one in each]),
        allocated=_known([one.allocated for one in each]),
        reserved=_known([one.reserved for one in each]),
        step_seconds=step,
        stages={stage: Spread.of([one.stages[stage] for one in each]) for stage in STAGES},
        images_per_second=Spread.of([one.images_per_second for one in each]),
        energy=_known([one.energy for one in each]),
        build_seconds=built.seconds,
        top1=None if found.teacher.weights.random else _known([one.top1 for one in each]),
        loss=Spread.of([one.losses[-1] for one in each]),
        bill=bill(job, step.mean / found.batch, built.seconds_an_image),
    )


def _known(values: list[float | int | None] | list[int | None] | list[float | None]) -> Spread | None:
    known = [float(value) for value in values if value is not None]
    return Spread.of(known) if len(known) == len(values) else None


def _equality(found: Comparison) -> list[str]:
    """Whether both ways came to the same student."""
    on = next((arm for arm in found.arms if arm.teacher == "connected"), None)
    if on is None:
        return []
    told = []
    for arm in found.arms:
        if arm.teacher != "stored":
            continue
        pairs = list(zip(found.measured[on.name], found.measured[arm.name], strict=True))
        if all(one.weights == other.weights and one.losses == other.losses for one, other in pairs):
            told.append(f"{on.name} and {arm.name} end with identical weights, in all {len(pairs)} repeats")
        else:
            told.append(_apart(on.name, arm.name, pairs))
    return told


def _apart(on: str, off: str, pairs: list[tuple[Measured, Measured]]) -> str:
    marks = [other.top1 - one.top1 for one, other in pairs if one.top1 is not None and other.top1 is not None]
    values = marks or [other.losses[-1] - one.losses[-1] for one, other in pairs]
    apart = Spread.of(values)
    unit = "points of top-1" if marks else "of the last loss"
    scale = 100 if marks else 1
    reach = "" if apart.half is None else f" ± {scale * apart.half:.2g}"
    return f"{off} less {on}: {scale * apart.mean:+.2g}{reach} {unit}"


def _worth(
    found: Comparison, rows: tuple[Row, ...], on: Row | None, job: Job, even: dict[str, float | None]
) -> list[str]:
    told = []
    for row in rows:
        if on is None or row.arm not in even:
            continue
        epochs = even[row.arm]
        if epochs is None:
            told.append(
                f"{row.arm} does not pay: a step takes {row.step_seconds.mean * 1000:,.0f} ms, and "
                f"{on.step_seconds.mean * 1000:,.0f} ms with the teacher connected; the teacher is too small to be worth storing"
            )
        elif epochs > job.epochs * job.students:
            told.append(
                f"{row.arm} does not pay for {job.epochs:g} epochs and {job.students} students: it has paid for itself after "
                f"{epochs:,.1f} epochs"
            )
        else:
            share = saved(on.bill.hours, row.bill.hours)
            told.append(
                f"{row.arm} pays after {epochs:,.2g} epochs; over the whole job it saves {share:.1%} of the time"
            )
    if on is not None and even and job.views < job.epochs:
        told.append(
            f"the stored views ({job.views}) come again over {job.epochs:g} epochs, where a connected teacher could see "
            "new ones: store more views where augmentation must be fresh"
        )
    return told
