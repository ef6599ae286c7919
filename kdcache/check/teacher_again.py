"""Run the teacher again on stored rows, and measure how far its signals are from the stored ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcache.base.progress import Progress
from kdcache.check.sampling import VerifyOptions, VerifyReport, drifted, rendered_again
from kdcache.codecs.codec import naming_rows
from kdcache.images.source import Source
from kdcache.store import Finding, Store
from kdcache.store.plan import PartId

REPEATABLE = {"float32": 2e-3, "bfloat16": 5e-2, "float16": 2e-2}
"""Largest difference that another machine or library version may cause, by precision: relative to the length of a dense row,
or in the probability of a class. The declared errors of the codecs are added to this."""

WAY_OUT = "verify on a --device that has more memory, or without --teacher"


def check_teacher(
    store: Store,
    source: Source,
    rows: list[tuple[PartId, list[int]]],
    ask: VerifyOptions,
    report: VerifyReport,
    progress: Progress,
) -> None:
    """Run the teacher again on sampled rows; report rows whose distance exceeds the tolerance.

    The tolerance is the codec's own error plus `REPEATABLE`.
    """
    from kdcache.teachers.batches import Batches
    from kdcache.teachers.reopen import reopen_teacher

    plan = store.plan
    teacher = reopen_teacher(plan.teacher, device=ask.device, weights=ask.weights, head=ask.head)
    batches = Batches(teacher, plan.batch, hint=WAY_OUT, note=progress.note)
    codecs = plan.codecs()
    for name, (*before, last) in plan.ways().items():
        own = sum(codec.rounding for codec in before) + last.tolerance
        report.tolerance[name] = own + REPEATABLE[plan.teacher.precision] if ask.tolerance is None else ask.tolerance
    progress.start("teacher", sum(len(wanted) for _, wanted in rows))
    for part, batch in rendered_again(store, source, rows, ask.workers):
        # Rows whose pixels have drifted are reported once as that; the teacher's values for other pixels mean nothing.
        others = {found.rows[0]: found for found in drifted(store, part, batch) if found.rows is not None}
        report.findings += [found for found in others.values() if found not in report.findings]
        progress.advance(len(batch.rows))
        seen = [place for place, row in enumerate(batch.rows) if row not in others]
        if not seen:
            continue
        emitted = batches.emit(batch.shown())
        rows_seen = np.asarray(batch.rows)[seen]
        places = rows_seen - plan.rows_of(part).start
        mapped = store.map_part(part)
        for name, codec in codecs.items():
            fields = {
                f.name: mapped[f.name].whole() if f.per_part else mapped[f.name].take(places) for f in codec.fields()
            }
            with naming_rows(rows_seen):
                far = codec.distance(fields, emitted[name].cpu().numpy()[seen])
            _judge(part, name, rows_seen, far, report)
        report.rerun += len(seen)


def _judge(part: PartId, name: str, rows: NDArray[Any], far: NDArray[np.float64], report: VerifyReport) -> None:
    report.distance[name] = max(report.distance.get(name, 0.0), float(far.max(initial=0.0)))
    limit = report.tolerance[name]
    beyond = ~(far <= limit)
    for row, distance in zip(rows[beyond].tolist(), far[beyond], strict=True):
        what = f"the teacher emits other values now: distance {distance:.3g}, tolerance {limit:.3g}"
        report.findings.append(Finding(part, name, range(row, row + 1), what, kind="drift"))
