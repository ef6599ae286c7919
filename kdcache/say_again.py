"""Let the teacher say stored rows again and measure how far it is from what the cache holds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcache.images.source import Source
from kdcache.progress import Progress
from kdcache.store import Finding, Store
from kdcache.store.plan import PartId
from kdcache.verify import Ask, Report, rendered_again

REPEATABLE = {"float32": 1e-3, "bfloat16": 5e-2, "float16": 1e-2}
"""What another machine or library may change, as a share: relative RMS of dense rows, probability of stored classes."""


def check_teacher(
    store: Store, source: Source, rows: list[tuple[PartId, list[int]]], ask: Ask, report: Report, progress: Progress
) -> None:
    """Say sampled rows again; findings are rows beyond the tolerance, which is the codec's own error plus `REPEATABLE`."""
    import torch

    from kdcache.teachers.reopen import reopen_teacher

    plan = store.plan
    teacher = reopen_teacher(plan.teacher, device=ask.device, weights=ask.weights, head=ask.head)
    codecs = plan.codecs()
    for stored in plan.signals:
        own = codecs[stored.signal.name].tolerance(stored.error)
        report.tolerance[stored.signal.name] = ask.tolerance or own + REPEATABLE[plan.teacher.precision]
    progress.start("teacher", sum(len(wanted) for _, wanted in rows))
    for part, batch in rendered_again(store, source, rows, ask.workers):
        said = teacher.say(torch.from_numpy(batch.pixels))
        places = np.asarray(batch.rows) - plan.rows_of(part).start
        mapped = store.map_part(part)
        for name, codec in codecs.items():
            fields = {f.name: mapped[f.name].whole() if f.per_part else mapped[f.name].rows(places) for f in codec.fields()}
            far = codec.distance(fields, said[name][: len(places)])
            _judge(part, name, np.asarray(batch.rows), far, report)
        report.said_again += len(batch.rows)
        progress.advance(len(batch.rows))


def _judge(part: PartId, name: str, rows: NDArray[Any], far: NDArray[np.float64], report: Report) -> None:
    report.distance[name] = max(report.distance.get(name, 0.0), float(far.max()))
    limit = report.tolerance[name]
    beyond = rows[far > limit]
    if len(beyond):
        what = f"the teacher says something else now: distance {far.max():.3g}, tolerance {limit:.3g}"
        report.findings.append(Finding(part, name, tuple(int(row) for row in beyond), what))
