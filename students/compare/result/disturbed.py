"""Finds measurements that something else on the machine disturbed: those that took much longer than others of their arm.

Input: the measurements, repeat by repeat. Output: the one that was disturbed most. It and what was measured beside it are
measured again (students/compare/rounds.py); what they replace is kept in the result, marked.
"""

import statistics
from collections.abc import Mapping, Sequence

from kdcache.base.strict import Strict
from students.compare.measuring.measure import Measured
from students.compare.result.words import milliseconds

SLOWER, DEVIATIONS = 0.15, 5.0
"""A measurement is disturbed if its steps took so much longer than the median of its arm, as a fraction of it, and so many
times the median deviation from it."""
FEWEST = 3
"""Fewest repeats of which one can be told apart from the others."""


class Disturbed(Strict):
    """A repeat that was disturbed and has been measured again: what was measured then, and why it does not count."""

    repeat: int
    """Number of the repeat, from 0."""
    arm: str
    """The arm whose steps took too long."""
    step_seconds: float
    """Mean seconds of its steps."""
    usual: float
    """Median over all repeats of this arm."""
    measured: dict[str, Measured]
    """Arm -> its measurement in this repeat."""

    @property
    def text(self) -> str:
        """What happened, as part of a sentence: `repeat 3 (a step of off-stream took 412 ms, the median is 231 ms)`."""
        took, usual = milliseconds(self.step_seconds), milliseconds(self.usual)
        return f"repeat {self.repeat + 1} (a step of {self.arm} took {took}, the median is {usual})"


def outliers(seconds: Sequence[float]) -> list[int]:
    """Positions of the values that are much larger than the others; none of fewer than FEWEST."""
    if len(seconds) < FEWEST:
        return []
    middle = statistics.median(seconds)
    spread = statistics.median(abs(value - middle) for value in seconds)
    limit = middle + max(SLOWER * middle, DEVIATIONS * spread)
    return [place for place, value in enumerate(seconds) if value > limit]


def disturbed(measured: Mapping[str, Sequence[Measured]]) -> Disturbed | None:
    """The repeat that was disturbed most; None if none was."""
    found: list[tuple[float, Disturbed]] = []
    for arm, each in measured.items():
        steps = [one.step_seconds for one in each]
        usual = statistics.median(steps)
        for repeat in outliers(steps):
            then = {name: others[repeat] for name, others in measured.items()}
            what = Disturbed(repeat=repeat, arm=arm, step_seconds=steps[repeat], usual=usual, measured=then)
            found.append((steps[repeat] / usual, what))
    return max(found, key=lambda one: one[0])[1] if found else None
