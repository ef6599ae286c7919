"""One row of a comparison: all figures of one arm, and its cost for the job.

Input: a Comparison. Output: one Row per arm.
"""

import math

from kdcache.base.strict import Strict
from students.compare.arms import Arm
from students.compare.measuring.measure import STAGES
from students.compare.result.comparison import Comparison
from students.compare.result.sums import NOTHING, Bill, BreakEven, Joules, Spread, Workload, bill, break_even
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
    """Joules of the accelerator per step, counted by its driver."""
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
    owed = bill(job, step.times(1 / found.batch), image, _joules(found, arm, on, image))
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
        score=None if found.teacher.has_random_weights else _scores(found, arm),
        loss=Spread.of([one.losses[-1] for one in each]),
        bill=owed,
        saves=None if on is None or built is None else _saves(found, on, arm, job, built.image),
        pays=None if on is None or built is None else break_even(job, _faster(found, on, arm), built.image),
    )


def _saves(found: Comparison, on: Arm, off: Arm, job: Workload, image: Spread) -> Spread:
    """1 - off-stream / on-stream: what the steps save, less what the build costs, as fractions of the time with a teacher.

    The build has an interval only if it was cut into enough parts; without one it counts as exact.
    """
    connected = job.students * job.epochs * Spread.of(_seconds(found, on)).mean / found.batch
    steps, build = _shorter(found, on, off), image.times(job.views / connected)
    half = None if steps.half is None else math.hypot(steps.half, build.half or 0.0)
    return Spread(mean=steps.mean - build.mean, half=half)


def _shorter(found: Comparison, on: Arm, off: Arm) -> Spread:
    """Fraction by which a step is shorter. The interval is over pairs of repeats, which ran one after the other, so that a
    machine that was slower for both makes nothing unsure."""
    connected, stored = _seconds(found, on), _seconds(found, off)
    pairs = Spread.of([1 - other / one for one, other in zip(connected, stored, strict=True)])
    return Spread(mean=1 - sum(stored) / sum(connected), half=pairs.half)


def _faster(found: Comparison, on: Arm, off: Arm) -> Spread:
    """Seconds per image that training from the cache saves."""
    return _shorter(found, on, off).times(Spread.of(_seconds(found, on)).mean / found.batch)


def _seconds(found: Comparison, arm: Arm) -> list[float]:
    return [one.step_seconds for one in found.measured[arm.name]]


def _joules(found: Comparison, arm: Arm, on: Arm | None, image: Spread) -> Joules | None:
    """Energy of the accelerator per image; the build is assumed to draw the power of a step with the teacher connected."""
    energy = _energy(found, arm)
    if energy is None:
        return None
    like = arm if on is None else on
    power = (_energy(found, like) or energy).mean / Spread.of(_seconds(found, like)).mean
    return Joules(image=energy.times(1 / found.batch), built=image.times(power))


def _energy(found: Comparison, arm: Arm) -> Spread | None:
    return _known([one.energy for one in found.measured[arm.name]])


def _scores(found: Comparison, arm: Arm) -> Spread | None:
    """The score of the repeats that were judged: the first alone, except in comparisons of earlier versions."""
    known = [one.score for one in found.measured[arm.name] if one.score is not None]
    return Spread.of(known) if known else None


def _known(values: list[float | int | None] | list[int | None] | list[float | None]) -> Spread | None:
    known = [float(value) for value in values if value is not None]
    return Spread.of(known) if len(known) == len(values) else None
