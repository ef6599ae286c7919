"""Computes from the measurements what a job costs: totals, break-even, money. docs/compare.md has every formula.

n images, E epochs, M students, V stored views; t: seconds to train on an image once, b: seconds to build a view of an image.
"""

import math
import re
import statistics
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from kdcache.base.strict import Strict
from kdcache.errors import UsageError
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


class Bill(Strict):
    """Cost of a job with one arm, on the job's number of devices; its intervals come from the measured times."""

    build_hours: Spread
    train_hours: Spread
    hours: Spread
    """Hours of build and training together."""
    device_days: Spread
    money: Spread | None


def bill(job: Workload, image: Spread, built: Spread) -> Bill:
    """V n b + M E n t seconds of one device, divided by the number of devices; `image` is t, `built` is b."""
    build = built.times(job.views * job.images / 3600)
    train = image.times(job.students * job.epochs * job.images / 3600)
    whole = build.plus(train)
    return Bill(
        build_hours=build.times(1 / job.gpus),
        train_hours=train.times(1 / job.gpus),
        hours=whole.times(1 / job.gpus),
        device_days=whole.times(1 / 24),
        money=None if job.price is None else whole.times(job.price),
    )


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


TINYVIT = {"on GPU-days": 330.9, "build GPU-days": 92.4, "train GPU-days": 140.0}
"""Cost of storing and training with stored logits, from arXiv 2207.10666, section D."""
DIVEDOC_ON = {"hours": 40.0, "MiB": 25_000.0, "GB": 20.0}
DIVEDOC_OFF = {"hours": 36.0, "MiB": 21_300.0, "GB": 200.0}
"""Time, device memory and disk with a connected and with a stored teacher, from DIVE-Doc, table 1."""


def tinyvit_saving() -> float:
    """The saving of 29.8 % that the paper states, from its own figures."""
    return saved(TINYVIT["on GPU-days"], TINYVIT["build GPU-days"] + TINYVIT["train GPU-days"])


def divedoc_differences() -> dict[str, float]:
    """The differences that the paper states (4 hours, 3,700 MiB and 180 GB), from its own figures."""
    return {
        "hours saved": DIVEDOC_ON["hours"] - DIVEDOC_OFF["hours"],
        "MiB saved": DIVEDOC_ON["MiB"] - DIVEDOC_OFF["MiB"],
        "GB more": DIVEDOC_OFF["GB"] - DIVEDOC_ON["GB"],
    }


_SCALES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}
_NUMBER = re.compile(r"([0-9.]+(?:[eE][+-]?[0-9]+)?)([kKMG]?)")
_WORDS = {
    "n_images": "images",
    "epochs": "epochs",
    "students": "students",
    "views": "views",
    "gpus": "gpus",
    "price": "price",
}


def projected(text: str, job: Workload) -> Workload:
    """A job of another size: `n_images=14.2M epochs=90 gpus=8`."""
    found: dict[str, float] = {}
    for word in text.replace(",", " ").split():
        key, equals, value = word.partition("=")
        if key not in _WORDS or not equals:
            raise UsageError(
                f"--project {word!r} is not KEY=NUMBER with a known key", hint=f"KEY=NUMBER with {', '.join(_WORDS)}"
            )
        found[_WORDS[key]] = _number(word, value, whole=key not in ("epochs", "price"))
    return Workload.from_plain({**job.plain(), **found})


def _number(word: str, text: str, *, whole: bool) -> float:
    known = _NUMBER.fullmatch(text)
    try:
        number = float(known[1]) * _SCALES[known[2]] if known else math.nan
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise UsageError(f"--project {word}: {text!r} is not a number", hint="such as n_images=14.2M")
    if not 0 < number < math.inf or (whole and abs(number - round(number)) > 1e-6 * number):
        raise UsageError(f"--project {word}: must be {'a whole number' if whole else 'a number'} above 0")
    return round(number) if whole else number
