"""Computes from the measurements what a job costs: totals, break-even, money, energy. docs/compare.md has every formula.

n images, E epochs, M students, V stored views; t: seconds to train on an image once, b: seconds to build a view of an image.
"""

import math
import statistics
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from kdcache.base.strict import Strict
from students.base import limits

Count = Annotated[int, Field(ge=1, le=limits.JOB)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

_NORMAL = 1.959963985
_STUDENT_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""97.5 % quantiles of Student's t for 1 to 9 degrees of freedom."""


def student_t(freedom: int) -> float:
    """The 97.5 % quantile; from 10 degrees of freedom by a series in their inverse, exact to a thousandth."""
    if freedom <= len(_STUDENT_T):
        return _STUDENT_T[freedom - 1]
    z = _NORMAL
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + math.fsum(term / freedom**power for power, term in enumerate(terms, 1))


class Spread(Strict):
    """A mean over repeats, and the half width of its 95 % interval; None for a single repeat."""

    mean: float
    half: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of some values, by Student's t because repeats are few."""
        mean = statistics.fmean(values)
        if len(values) < 2:
            return cls(mean=mean, half=None)
        half = student_t(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
        return cls(mean=mean, half=half)

    def times(self, factor: float) -> "Spread":
        """The spread multiplied by a factor, as for another unit."""
        return Spread(mean=self.mean * factor, half=None if self.half is None else self.half * abs(factor))

    def turned(self, amount: float) -> "Spread":
        """`amount` / self: turns seconds per step into images per second."""
        turned = amount / self.mean
        return Spread(mean=turned, half=None if self.half is None else turned * self.half / self.mean)

    def plus(self, other: "Spread") -> "Spread":
        """The sum of two independent measurements."""
        known = self.half is not None and other.half is not None
        return Spread(mean=self.mean + other.mean, half=math.hypot(self.half or 0, other.half or 0) if known else None)


NOTHING = Spread(mean=0.0, half=0.0)


class Workload(Strict):
    """The training whose cost is computed."""

    images: Count
    epochs: Annotated[float, Field(gt=0, le=limits.EPOCHS)]
    students: Count = 1
    views: Count
    """Number of stored views per image, each of which is built once."""
    gpus: Count = 1
    price: Annotated[float, Field(ge=0, le=limits.JOB)] | None = None
    """Price of one device for an hour."""
    watts: Annotated[float, Field(ge=0, le=limits.JOB)] | None = None
    """Power of one device, or of the machine it is in, while it works."""


class Bill(Strict):
    """Cost of a job with one arm, on the job's number of devices; its intervals come from the measured times."""

    build_hours: Spread
    train_hours: Spread
    hours: Spread
    """Hours of build and training together."""
    device_days: Spread
    money: Spread | None
    energy: Spread | None = None
    """Kilowatt hours: as the driver measured them, else from the watts of the job; None if neither is known."""


class Joules(Strict):
    """Measured energy."""

    image: Spread
    """Joules for one image in training."""
    built: Spread
    """Joules for one stored view."""


def bill(job: Workload, image: Spread, built: Spread, joules: Joules | None = None) -> Bill:
    """V n b + M E n t seconds of one device, divided by the number of devices; `image` is t, `built` is b.

    The energy is the same sum of joules, where they were measured, else the seconds multiplied by the watts of the job.
    """
    build = built.times(job.views * job.images / 3600)
    train = image.times(job.students * job.epochs * job.images / 3600)
    whole = build.plus(train)
    return Bill(
        build_hours=build.times(1 / job.gpus),
        train_hours=train.times(1 / job.gpus),
        hours=whole.times(1 / job.gpus),
        device_days=whole.times(1 / 24),
        money=None if job.price is None else whole.times(job.price),
        energy=_kilowatt_hours(job, whole, joules),
    )


def _kilowatt_hours(job: Workload, hours: Spread, joules: Joules | None) -> Spread | None:
    if joules is not None:
        build = joules.built.times(job.views * job.images)
        return build.plus(joules.image.times(job.students * job.epochs * job.images)).times(1 / 3.6e6)
    return None if job.watts is None else hours.times(job.watts / 1000)


class BreakEven(Strict):
    """When a cache has paid for itself: after `epochs` epochs of one student, or after `students` whole trainings."""

    epochs: float
    low: float
    """Break-even at the favourable end of the intervals of the measured times, in epochs."""
    high: float | None
    """Break-even at the unfavourable end of the intervals, in epochs; None: at that end it never pays."""
    students: float


def break_even(job: Workload, faster: Spread, built: Spread) -> BreakEven | None:
    """E* = V b / (t_on - t_off), M* = E* / E; `faster` is t_on - t_off, `built` is b. None: never."""
    if faster.mean <= 0:
        return None
    cost, off = job.views * built.mean, faster.half or 0.0
    epochs = cost / faster.mean
    high = cost / (faster.mean - off) if faster.mean > off else None
    return BreakEven(epochs=epochs, low=cost / (faster.mean + off), high=high, students=epochs / job.epochs)


def saved(on_hours: float, off_hours: float) -> float:
    """Fraction of the time that is saved."""
    return 1 - off_hours / on_hours
