"""Verdict of a comparison: rows of the table, costs, and sentences that say whether the cache pays.

Input: a Comparison. Output: plain records, from which the command line and the page make their tables.
"""

from kdcache.base.figures import rate
from kdcache.base.strict import Strict
from students.compare.arms import Arm
from students.compare.measuring.measure import Measured
from students.compare.result.answer import Answer, answer_of, decide
from students.compare.result.comparison import Comparison
from students.compare.result.rows import Row, row_of
from students.compare.result.sums import BreakEven, Spread, Workload
from students.compare.result.words import milliseconds, percent, reach, times

RESTLESS = 0.25
"""Half width of the interval of a step time, as a fraction of the mean, above which the machine was probably busy."""


class Verdict(Strict):
    """Everything that is printed about a comparison."""

    rows: tuple[Row, ...]
    job: Workload
    image_bytes: int | None
    """Size of the job's images on disk, in bytes; None if they are generated or remote."""
    sentences: tuple[str, ...]
    """Verdict of each cache, differences between the students, and reservations."""
    answer: Answer
    """The answer in sentences for people who know no figures."""


def verdict(found: Comparison) -> Verdict:
    """Compute rows and sentences."""
    job = found.project or found.job
    on = next((arm for arm in found.arms if arm.teacher == "connected"), None)
    rows = tuple(row_of(found, arm, on, job) for arm in found.arms)
    size = None if found.image_bytes is None else round(found.image_bytes * job.images / found.job.images)
    worth = [] if on is None else _worth(rows, rows[found.arms.index(on)], job)
    sentences = (*worth, *_equality(found, on or found.arms[0]), *_remarks(found, rows, on))
    return Verdict(rows=rows, job=job, image_bytes=size, sentences=sentences, answer=answer_of(found, rows, job))


def _equality(found: Comparison, base: Arm) -> list[str]:
    """How the students of the other arms differ from that of `base`."""
    sentences = []
    for arm in found.arms:
        if arm is base:
            continue
        pairs = list(zip(found.measured[base.name], found.measured[arm.name], strict=True))
        if all(one.weights == other.weights and one.losses == other.losses for one, other in pairs):
            times = "" if len(pairs) == 1 else f", in all {len(pairs)} repeats"
            sentences.append(f"{base.name} and {arm.name} end with identical weights{times}")
        elif base.teacher != "none" != arm.teacher or _scores(pairs):
            sentences.append(_difference(found, base, arm, pairs))
    return sentences


def _scores(pairs: list[tuple[Measured, Measured]]) -> list[float]:
    return [other.score - one.score for one, other in pairs if one.score is not None and other.score is not None]


def _difference(found: Comparison, base: Arm, arm: Arm, pairs: list[tuple[Measured, Measured]]) -> str:
    marks = _scores(pairs)
    difference = Spread.of(marks or [other.losses[-1] - one.losses[-1] for one, other in pairs])
    points = "points of " if found.percent else "of "
    unit = f"{points}{found.metric}" if marks else "of the last loss"
    scale = 100 if marks and found.percent else 1
    reach = "" if difference.half is None else f" ± {scale * difference.half:.2g}"
    return f"{arm.name} minus {base.name}: {scale * difference.mean:+.2g}{reach} {unit}"


def _remarks(found: Comparison, rows: tuple[Row, ...], on: Arm | None) -> list[str]:
    """Reservations about the figures."""
    remarks = (
        []
        if on is not None
        else ["no arm had a connected teacher, so there is no break-even: add on-stream to see when a cache pays"]
    )
    remarks += [f"{each.text} was disturbed and measured again" for each in found.disturbed]
    restless = [row.arm for row in rows if (row.step_seconds.half or 0) > RESTLESS * row.step_seconds.mean]
    if restless:
        remarks.append(
            f"the step times of {' and '.join(restless)} differ a lot from repeat to repeat: was the machine busy? "
            "measure again on a quiet one, or with more --steps and --repeat"
        )
    return [*remarks, *([f"{found.metric} is n/a: {found.unjudged}"] if found.unjudged else [])]


def _worth(rows: tuple[Row, ...], on: Row, job: Workload) -> list[str]:
    """Whether each cache pays, and if not, why."""
    sentences = [_pays(row, row.saves, on, job) for row in rows if row.teacher == "stored" and row.saves is not None]
    if sentences and job.views < job.epochs:
        views = "view comes" if job.views == 1 else f"{job.views:,} views come"
        sentences.append(
            f"the stored {views} again over {job.epochs:g} epochs, where a connected teacher could see new ones: "
            "store more views if augmentation must be fresh"
        )
    return sentences


def _pays(row: Row, saves: Spread, on: Row, job: Workload) -> str:
    ours, theirs = milliseconds(row.step_seconds.mean), milliseconds(on.step_seconds.mean)
    steps = f"a step takes {ours}, and {theirs} with the teacher connected"
    whole = times(job.epochs, "epoch", "epochs") + (f" of {job.students} students" if job.students > 1 else "")
    once, decision = "" if saves.half is not None else "measured once, ", decide(saves)
    after = "" if row.pays is None else f" after {epochs(row.pays)} epochs"
    if decision == "undecided":
        late = f" pays{after}, which is too late" if after else ""
        return f"undecided: {row.arm}{late}: {steps}, but the repeats differ by more than that; use more --repeat and --steps"
    if decision == "perhaps":
        return f"perhaps: {row.arm} pays{after}: {steps}; use more --repeat and --steps to be sure"
    if decision == "yes":
        return f"{once}yes: {row.arm} pays{after}; over {whole} it saves {reach(saves, percent)} of the time"
    if not after:
        asks = milliseconds(on.stages["teacher"].mean)
        return f"{once}no: {row.arm} does not pay: {steps}, of which the teacher takes no more than {asks}"
    return f"{once}no: {row.arm} does not pay for {whole}: {steps}, so it has paid for itself only{after}"


def epochs(pays: BreakEven) -> str:
    """A break-even point as text: `1.6 (1.2 to 2.3)`."""
    if pays.low == pays.epochs:
        return rate(pays.epochs)
    return f"{rate(pays.epochs)} ({rate(pays.low)} to {'never' if pays.high is None else rate(pays.high)})"
