"""What a comparison says: rows of the table, totals, and a few plain sentences, also when the cache does not pay.

Input: a Comparison. Output: plain records, from which the command line and the page make their tables.
"""

from kdcache.base.figures import rate
from kdcache.base.strict import Strict
from students.compare.arms import Arm
from students.compare.measuring.measure import Measured
from students.compare.result.comparison import Comparison
from students.compare.result.rows import Row, faster, row_of
from students.compare.result.sums import BreakEven, Spread, Workload
from students.compare.result.words import milliseconds, percent, reach, times

RESTLESS = 0.25
"""an interval so large a share of a mean says that something else was going on"""


class Verdict(Strict):
    """All of it."""

    rows: tuple[Row, ...]
    job: Workload
    image_bytes: int | None
    """on disk, of the job"""
    sentences: tuple[str, ...]


def verdict(found: Comparison) -> Verdict:
    """Add up and judge."""
    job = found.project or found.job
    on = next((arm for arm in found.arms if arm.teacher == "connected"), None)
    rows = tuple(row_of(found, arm, on, job) for arm in found.arms)
    size = None if found.image_bytes is None else round(found.image_bytes * job.images / found.job.images)
    worth = [] if on is None else _worth(found, rows, on, job)
    sentences = (*worth, *_equality(found, on or found.arms[0]), *_remarks(found, rows, on))
    return Verdict(rows=rows, job=job, image_bytes=size, sentences=sentences)


def _equality(found: Comparison, base: Arm) -> list[str]:
    """Whether the others came to the same student."""
    told = []
    for arm in found.arms:
        if arm is base:
            continue
        pairs = list(zip(found.measured[base.name], found.measured[arm.name], strict=True))
        if all(one.weights == other.weights and one.losses == other.losses for one, other in pairs):
            times = "" if len(pairs) == 1 else f", in all {len(pairs)} repeats"
            told.append(f"{base.name} and {arm.name} end with identical weights{times}")
        elif base.teacher != "none" != arm.teacher or _scores(pairs):
            told.append(_apart(found, base, arm, pairs))
    return told


def _scores(pairs: list[tuple[Measured, Measured]]) -> list[float]:
    return [other.score - one.score for one, other in pairs if one.score is not None and other.score is not None]


def _apart(found: Comparison, base: Arm, arm: Arm, pairs: list[tuple[Measured, Measured]]) -> str:
    marks = _scores(pairs)
    apart = Spread.of(marks or [other.losses[-1] - one.losses[-1] for one, other in pairs])
    points = "points of " if found.percent else "of "
    unit = f"{points}{found.metric}" if marks else "of the last loss"
    scale = 100 if marks and found.percent else 1
    reach = "" if apart.half is None else f" ± {scale * apart.half:.2g}"
    return f"{arm.name} less {base.name}: {scale * apart.mean:+.2g}{reach} {unit}"


def _remarks(found: Comparison, rows: tuple[Row, ...], on: Arm | None) -> list[str]:
    """What a reader must know to believe the figures."""
    told = [] if on is not None else ["no way ran its teacher at every step: add on-stream to see when a cache pays"]
    restless = [row.arm for row in rows if (row.step_seconds.half or 0) > RESTLESS * row.step_seconds.mean]
    if restless:
        told.append(
            f"the times of {' and '.join(restless)} differ a lot from repeat to repeat: was the machine busy with other work? "
            "measure again on a quiet one, or with more --steps and --repeat"
        )
    return [*told, *([f"{found.metric} is n/a: {found.unjudged}"] if found.unjudged else [])]


def _worth(found: Comparison, rows: tuple[Row, ...], on: Arm, job: Workload) -> list[str]:
    """Whether each cache pays, and if not, why."""
    connected = rows[found.arms.index(on)]
    pairs = [(arm, row) for arm, row in zip(found.arms, rows, strict=True) if arm.teacher == "stored"]
    told = [_pays(row, connected, faster(found, on, arm), job) for arm, row in pairs]
    if told and job.views < job.epochs:
        views = "view comes" if job.views == 1 else f"{job.views:,} views come"
        told.append(
            f"the stored {views} again over {job.epochs:g} epochs, where a connected teacher could see new ones: "
            "store more views where augmentation must be fresh"
        )
    return told


def _pays(row: Row, on: Row, gain: Spread, job: Workload) -> str:
    ours, theirs = milliseconds(row.step_seconds.mean), milliseconds(on.step_seconds.mean)
    steps = f"a step takes {ours}, and {theirs} with the teacher connected"
    whole = times(job.epochs, "epoch", "epochs") + (f" of {job.students} students" if job.students > 1 else "")
    once = "" if gain.half is not None else "measured once, "
    if row.pays is None:
        if gain.mean + (gain.half or 0.0) > 0:
            return f"cannot be told: {row.arm}: {steps}, and the repeats differ by more than that"
        asks = milliseconds(on.stages["teacher"].mean)
        return f"{once}no: {row.arm} does not pay: {steps}, of which the teacher takes no more than {asks}"
    after = f"{epochs(row.pays)} epochs"
    if row.pays.high is None:
        return f"perhaps: {row.arm} pays after {after}: {steps}; more --repeat and --steps would tell"
    if row.pays.epochs > job.epochs * job.students:
        return f"{once}no: {row.arm} does not pay for {whole}: {steps}, so it has paid for itself only after {after}"
    return f"{once}yes: {row.arm} pays after {after}; over {whole} it saves {reach(row.saves, percent)} of the time"


def epochs(pays: BreakEven) -> str:
    """1.6 (1.2 to 2.3)."""
    if pays.low == pays.epochs:
        return rate(pays.epochs)
    return f"{rate(pays.epochs)} ({rate(pays.low)} to {'never' if pays.high is None else rate(pays.high)})"
