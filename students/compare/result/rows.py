"""One row of a comparison: all figures of one arm, and its cost for the job.

Input: a Comparison. Output: one Row per arm.
"""

from kdcache.base.strict import Strict
from students.compare.arms import Arm
from students.compare.measuring.measure import STAGES
from students.compare.result.comparison import Comparison
from students.compare.result.sums import NOTHING, Bill, BreakEven, Spread, Workload, bill, break_even, saved
from students.compare.room import Room


class Row(Strict):
    """All figures of one arm; the papers' tables list the same ones."""

    arm: str
    teacher: str
    cache_bytes: int
    """Size of a cache of all images and views of the job, in bytes."""
    peak_memory: Spread
    allocated: Spread | None
    reserved: Spread | None
    room: Room | None
    devices: int | None
    """Number of devices that hold one batch; None if no search for the largest batch was made."""
    step_seconds: Spread
    stages: dict[str, Spread]
    images_per_second: Spread
    energy: Spread | None
    """Joules per step."""
    build_seconds: float
    """Seconds that the build of this arm's cache took in the comparison."""
    score: Spread | None
    loss: Spread
    """Loss of the last step."""
    bill: Bill
    """Cost of the job."""
    saves: Spread | None
    """Fraction of the job's time with a connected teacher that this arm saves."""
    pays: BreakEven | None
    """Break-even point of the arm's cache; None: it never pays, or no arm has a connected teacher."""


def row_of(found: Comparison, arm: Arm, on: Arm | None, job: Workload) -> Row:
    """The row of one arm; `on`: the arm with a connected teacher, if there is one."""
    each = found.measured[arm.name]
    built = found.cache(arm)
    room = found.room.get(arm.name)
    step = Spread.of([one.step_seconds for one in each])
    image = NOTHING if built is None else built.image
    owed = bill(job, step.times(1 / found.batch), image)
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
        images_per_second=step.turned(found.batch),
        energy=_known([one.energy for one in each]),
        build_seconds=0.0 if built is None else built.seconds,
        score=None if found.teacher.has_random_weights else _known([one.score for one in each]),
        loss=Spread.of([one.losses[-1] for one in each]),
        bill=owed,
        saves=None if on is None or built is None else _saves(found, on, arm, job, built.image),
        pays=None if on is None or built is None else break_even(job, faster(found, on, arm), built.image),
    )


def _saves(found: Comparison, on: Arm, off: Arm, job: Workload, image: Spread) -> Spread:
    """1 - off-stream / on-stream of the mean times; the interval is over pairs of repeats, which ran one after the other."""

    def share(connected: float, stored: float) -> float:
        hours = [bill(job, Spread(mean=step / found.batch, half=None), view).hours.mean for step, view in (
            (connected, NOTHING), (stored, image)
        )]  # fmt: skip
        return saved(*hours)

    steps = [[one.step_seconds for one in found.measured[arm.name]] for arm in (on, off)]
    whole = share(*(sum(each) / len(each) for each in steps))
    return Spread(mean=whole, half=Spread.of([share(*pair) for pair in zip(*steps, strict=True)]).half)


def faster(found: Comparison, on: Arm, off: Arm) -> Spread:
    """Seconds per image that training from the cache saves, over pairs of repeats, which ran one after the other."""
    pairs = zip(found.measured[on.name], found.measured[off.name], strict=True)
    return Spread.of([(one.step_seconds - other.step_seconds) / found.batch for one, other in pairs])


def _known(values: list[float | int | None] | list[int | None] | list[float | None]) -> Spread | None:
    known = [float(value) for value in values if value is not None]
    return Spread.of(known) if len(known) == len(values) else None
