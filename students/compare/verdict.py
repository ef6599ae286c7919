"""What a comparison says: rows of the table, totals, and a few plain sentences, also when the cache does not pay.

Input: a Comparison. Output: plain records, from which the command line and the page make their tables.
"""

from kdcache.figures import rate
from kdcache.strict import Strict
from students.compare.arms import Arm
from students.compare.measure import STAGES, Measured
from students.compare.room import Room
from students.compare.run import Comparison
from students.compare.sums import NOTHING, Bill, BreakEven, Job, Spread, bill, break_even, saved


class Row(Strict):
    """One arm, as the papers' tables have it."""

    arm: str
    teacher: str
    cache_bytes: int
    """for the images and views of the job"""
    peak_memory: Spread
    allocated: Spread | None
    reserved: Spread | None
    room: Room | None
    devices: int | None
    """that a batch needs"""
    step_seconds: Spread
    stages: dict[str, Spread]
    images_per_second: Spread
    energy: Spread | None
    """joules of a step"""
    build_seconds: float
    """of the cache that was built here"""
    score: Spread | None
    loss: Spread
    """of the last step"""
    bill: Bill
    """of the job"""
    saves: float | None
    """share of the time of the job with the teacher connected"""
    pays: BreakEven | None
    """when its cache has paid for itself; None: never, or there is nothing to compare with"""


class Verdict(Strict):
    """All of it."""

    rows: tuple[Row, ...]
    job: Job
    image_bytes: int | None
    """on disk, of the job"""
    sentences: tuple[str, ...]


def verdict(found: Comparison) -> Verdict:
    """Add up and judge."""
    job = found.project or found.job
    on = next((arm for arm in found.arms if arm.teacher == "connected"), None)
    rows = tuple(_row(found, arm, on, job) for arm in found.arms)
    size = None if found.image_bytes is None else round(found.image_bytes * job.images / found.job.images)
    sentences = [] if on is None else [*_equality(found, on), *_worth(rows, rows[found.arms.index(on)], job)]
    return Verdict(rows=rows, job=job, image_bytes=size, sentences=tuple(sentences))


def _row(found: Comparison, arm: Arm, on: Arm | None, job: Job) -> Row:
    each = found.measured[arm.name]
    built = found.cache(arm)
    room = found.room.get(arm.name)
    step = Spread.of([one.step_seconds for one in each])
    image = NOTHING if built is None else built.image
    owed = bill(job, step.times(1 / found.batch), image)
    whole = None if on is None or built is None else bill(job, _image_seconds(found, on), NOTHING)
    return Row(
        arm=arm.name,
        teacher=arm.teacher,
        cache_bytes=0 if built is None else round(built.row_bytes * job.images * job.views),
        peak_memory=Spread.of([float(one.peak_memory) for one in each]),
        allocated=_known([one.allocated for one in each]),
        reserved=_known([one.reserved for one in each]),
        room=room,
        devices=None if room is None else room.devices(found.batch),
        step_seconds=step,
        stages={stage: Spread.of([one.stages[stage] for one in each]) for stage in STAGES},
        images_per_second=Spread.of([one.images_per_second for one in each]),
        energy=_known([one.energy for one in each]),
        build_seconds=0.0 if built is None else built.seconds,
        score=None if found.teacher.knows_nothing else _known([one.score for one in each]),
        loss=Spread.of([one.losses[-1] for one in each]),
        bill=owed,
        saves=None if whole is None else saved(whole.hours.mean, owed.hours.mean),
        pays=None if on is None or built is None else break_even(job, faster(found, on, arm), built.image),
    )


def _image_seconds(found: Comparison, arm: Arm) -> Spread:
    """Of one training image."""
    return Spread.of([one.step_seconds / found.batch for one in found.measured[arm.name]])


def faster(found: Comparison, on: Arm, off: Arm) -> Spread:
    """Seconds an image is faster from the cache; repeat by repeat, since those ran side by side."""
    pairs = zip(found.measured[on.name], found.measured[off.name], strict=True)
    return Spread.of([(one.step_seconds - other.step_seconds) / found.batch for one, other in pairs])


def _known(values: list[float | int | None] | list[int | None] | list[float | None]) -> Spread | None:
    known = [float(value) for value in values if value is not None]
    return Spread.of(known) if len(known) == len(values) else None


def _equality(found: Comparison, on: Arm) -> list[str]:
    """Whether both ways came to the same student."""
    told = []
    for arm in found.arms:
        if arm.teacher != "stored":
            continue
        pairs = list(zip(found.measured[on.name], found.measured[arm.name], strict=True))
        if all(one.weights == other.weights and one.losses == other.losses for one, other in pairs):
            times = "" if len(pairs) == 1 else f", in all {len(pairs)} repeats"
            told.append(f"{on.name} and {arm.name} end with identical weights{times}")
        else:
            told.append(_apart(found, on, arm, pairs))
    return told


def _apart(found: Comparison, on: Arm, off: Arm, pairs: list[tuple[Measured, Measured]]) -> str:
    marks = [other.score - one.score for one, other in pairs if one.score is not None and other.score is not None]
    values = marks or [other.losses[-1] - one.losses[-1] for one, other in pairs]
    apart = Spread.of(values)
    unit = f"points of {found.metric}" if marks else "of the last loss"
    scale = 100 if marks else 1
    reach = "" if apart.half is None else f" ± {scale * apart.half:.2g}"
    return f"{off.name} less {on.name}: {scale * apart.mean:+.2g}{reach} {unit}"


def _worth(rows: tuple[Row, ...], on: Row, job: Job) -> list[str]:
    """Whether each cache pays, and if not, why."""
    told = [_pays(row, on, job) for row in rows if row.teacher == "stored" and row.saves is not None]
    if told and job.views < job.epochs:
        views = "view comes" if job.views == 1 else f"{job.views:,} views come"
        told.append(
            f"the stored {views} again over {job.epochs:g} epochs, where a connected teacher could see new ones: "
            "store more views where augmentation must be fresh"
        )
    return told


def _pays(row: Row, on: Row, job: Job) -> str:
    assert row.saves is not None
    steps = f"a step takes {_ms(row.step_seconds)}, and {_ms(on.step_seconds)} with the teacher connected"
    whole = f"{job.epochs:g} {'epoch' if job.epochs == 1 else 'epochs'}"
    if job.students > 1:
        whole += f" of {job.students} students"
    if row.pays is None:
        return f"{row.arm} does not pay: {steps}; the teacher is too small to be worth storing"
    after = f"{epochs(row.pays)} epochs"
    if row.pays.high is None:
        return f"{row.arm} perhaps pays, after {after}: {steps}; more --repeat and --steps would tell"
    if row.pays.epochs > job.epochs * job.students:
        return f"{row.arm} does not pay for {whole}: {steps}, so it has paid for itself only after {after}"
    return f"{row.arm} pays after {after}; over {whole} it saves {row.saves:.1%} of the time"


def epochs(pays: BreakEven) -> str:
    """1.6 (1.2 to 2.3)."""
    if pays.low == pays.epochs:
        return rate(pays.epochs)
    return f"{rate(pays.epochs)} ({rate(pays.low)} to {'never' if pays.high is None else rate(pays.high)})"


def _ms(seconds: Spread) -> str:
    return f"{1000 * seconds.mean:,.3g} ms"
