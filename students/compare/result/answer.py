"""The answer of a comparison in sentences for people who know no figures: does a cache pay, how sure is that, what to do.

Input: a Comparison and its rows. Output: an Answer, which is printed first in the terminal and on the page.
"""

import math
from typing import Literal

from kdcache.base.figures import plural, rate
from kdcache.base.strict import Strict
from students.compare.result.comparison import Comparison
from students.compare.result.project import project_text
from students.compare.result.rows import Row
from students.compare.result.sums import Spread, Workload
from students.compare.result.words import Shown, between, both_times, brief, kilowatt_hours, less, times

Decision = Literal["yes", "no", "perhaps", "undecided"]
MOST_REPEATS = 50
"""Largest number of repeats that is recommended."""


class Answer(Strict):
    """Whether a cache pays. Of several caches, the one that saves most is judged."""

    decision: Decision | None
    """None: there is no arm with a connected teacher, or none with a cache."""
    arm: str | None
    """The arm that is judged."""
    sentence: str
    """The answer in one sentence."""
    certainty: str
    """How sure the answer is; empty if there is no decision."""
    costs: tuple[str, ...]
    """Sentences about money and energy."""
    advice: str
    """What to do next; empty if there is nothing to do."""
    project: str
    """Text of `--project` that gives the same job."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """All of it in the order in which it is read."""
        project = f'The job, to be changed and given to the same command: --project "{self.project}"'
        return (self.sentence, *filter(None, (self.certainty, *self.costs, self.advice, project)))


def decide(saves: Spread) -> Decision:
    """Yes or no if the whole interval is on one side of 0; perhaps if only the mean is above 0; undecided if only a part is."""
    half = saves.half or 0.0
    if saves.mean > 0:
        return "yes" if saves.mean - half > 0 else "perhaps"
    return "undecided" if saves.mean + half > 0 else "no"


def answer_of(found: Comparison, rows: tuple[Row, ...], job: Workload) -> Answer:
    """The answer for the job."""
    on = next((row for row in rows if row.teacher == "connected"), None)
    stored = [(row.saves, row) for row in rows if row.teacher == "stored" and row.saves is not None]
    if on is None or not stored:
        missing = "had a connected teacher" if on is None else "learnt from a cache"
        add = "on-stream" if on is None else "off-stream"
        sentence = f"Nothing can be said about what a cache saves, because no arm {missing}: add {add}."
        return Answer(
            decision=None, arm=None, sentence=sentence, certainty="", costs=(), advice="", project=project_text(job)
        )
    saves, row = max(stored, key=lambda pair: pair[0].mean)
    decision = decide(saves)
    return Answer(
        decision=decision,
        arm=row.arm,
        sentence=_sentence(decision, _what(found, job, row, len(stored)), saves, row, on, job),
        certainty=_certainty(found, saves),
        costs=tuple(_costs(job, row, on)),
        advice=_advice(decision, found, saves, row, job),
        project=project_text(job),
    )


def _what(found: Comparison, job: Workload, row: Row, caches: int) -> str:
    """The training as the subject of a sentence: `training tinyvit-5m for the recipe's 6 epochs from the cache`."""
    student = found.student if job.students == 1 else f"{job.students:,} students ({found.student})"
    span = times(job.epochs, "epoch", "epochs")
    own = "the recipe's " if job.epochs == found.recipe_epochs else ""
    which = "" if caches == 1 else f" of {row.arm}"
    return f"training {student} for {own}{span} from the cache{which}"


def _sentence(decision: Decision, what: str, saves: Spread, row: Row, on: Row, job: Workload) -> str:
    ours, theirs = both_times(3600 * row.bill.hours.mean, 3600 * on.bill.hours.mean)
    takes = f"{what} takes {ours} instead of {theirs} with the teacher connected, {less(saves.mean)}"
    if decision == "yes":
        return f"Yes: {takes}; the cache has paid for itself {_after(row, job)}."
    if decision == "no":
        return f"No: {takes}; {_why(row, on, job)}."
    unsure = "the measurements differ too much to be sure"
    return f"{decision.capitalize()}: as measured, {takes}, but {unsure}."


def _after(row: Row, job: Workload) -> str:
    """When a cache that pays has paid for itself."""
    assert row.pays is not None, "it saves time, so there is a break-even"
    if job.students > 1:
        return f"after {brief(row.pays.students)} of {job.students:,} students"
    return f"after {brief(row.pays.epochs)} of {times(job.epochs, 'epoch', 'epochs')}"


def _why(row: Row, on: Row, job: Workload) -> str:
    """Why a cache does not pay."""
    if row.pays is None:
        share = on.stages["teacher"].mean / on.step_seconds.mean
        return f"of a step with the teacher connected, the teacher takes {share:.0%}".replace("%", " %")
    whole = job.epochs * job.students
    return f"the cache has paid for itself only after {brief(row.pays.epochs)} epochs, and these are {whole:g}"


def _certainty(found: Comparison, saves: Spread) -> str:
    repeats = len(found.measured[found.arms[0].name])
    again = ""
    if found.disturbed:
        count = len(found.disturbed)
        again = f", and {count} more that did not count because something disturbed {'it' if count == 1 else 'them'}"
    if saves.half is None:
        return f"Measured once{again}: only more repeats can tell how sure this is."
    return f"Measured {repeats} times{again}: {between(saves)}, with 95 % confidence."


def _costs(job: Workload, row: Row, on: Row) -> list[str]:
    """Sentences about money and energy, where they are known."""
    found = []
    if row.bill.money and on.bill.money and job.price is not None:
        how = f"At {job.price:g} for an hour of a device"
        found.append(f"{how} it costs {_instead(row.bill.money.mean, on.bill.money.mean, rate)}.")
    if row.bill.energy and on.bill.energy:
        counted = row.energy is not None and on.energy is not None
        how = "By the counter of the accelerator" if counted else f"At {job.watts:g} watts a device"
        found.append(f"{how} it takes {_instead(row.bill.energy.mean, on.bill.energy.mean, kilowatt_hours)}.")
    return found


def _instead(ours: float, theirs: float, shown: Shown) -> str:
    return (
        f"{shown(ours)} instead of {shown(theirs)}, {shown(abs(theirs - ours))} {'less' if theirs >= ours else 'more'}"
    )


def _advice(decision: Decision, found: Comparison, saves: Spread, row: Row, job: Workload) -> str:
    """What to do next."""
    if decision in ("perhaps", "undecided"):
        repeats = repeats_needed(len(found.measured[row.arm]), saves)
        return f"To be sure, measure more often: the same command with --repeat {repeats} keeps what was measured."
    if decision == "yes" and saves.half is None:
        return "The same command with --repeat 5 keeps what was measured."
    if decision == "yes":
        return ""
    if row.pays is None:
        return "Keep the teacher connected (kd train --stream on), or try a smaller student or a larger teacher."
    epochs, students = math.floor(row.pays.epochs) + 1, math.floor(row.pays.students) + 1
    longer, more = (
        f"{plural(epochs, 'epoch')} (--epochs {epochs})",
        f"{plural(students, 'student')} (--students {students})",
    )
    return f"A cache pays from {longer} or {more} on."


def repeats_needed(repeats: int, saves: Spread) -> int:
    """Repeats after which the interval is about as wide as the mean is away from 0: at least twice as many as there were.

    The half width shrinks with the square root of the number of repeats.
    """
    half = saves.half or 0.0
    wider = min(half / abs(saves.mean), MOST_REPEATS) if saves.mean else MOST_REPEATS
    return max(2 * repeats, math.ceil(min(repeats * wider**2, MOST_REPEATS)))
