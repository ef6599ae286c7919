"""Let the teacher say stored rows again and measure how far it is from what the cache holds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcache.base.progress import Progress
from kdcache.check.sampling import Ask, Report, drifted, rendered_again
from kdcache.codecs.distribution import Logits, TopK
from kdcache.images.source import Source
from kdcache.store import Finding, Store
from kdcache.store.plan import PartId

REPEATABLE = {"float32": 2e-3, "bfloat16": 5e-2, "float16": 2e-2}
"""What another machine or library version may change: a share of a dense row's length, or the probability of a class."""
ROUNDED = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "full:float16": 2.0**-11, "int8": 0.03}
"""What a codec on the way may have changed, as the same kind of share. int8 as the last codec is judged by its scales instead."""

WAY_OUT = "verify on a --device that has more memory, or without --teacher"


def check_teacher(
    store: Store, source: Source, rows: list[tuple[PartId, list[int]]], ask: Ask, report: Report, progress: Progress
) -> None:
    """Say sampled rows again; findings are rows beyond the tolerance, which is the codec's own error plus `REPEATABLE`."""
    from kdcache.teachers.batches import Batches
    from kdcache.teachers.reopen import reopen_teacher

    plan = store.plan
    teacher = reopen_teacher(plan.teacher, device=ask.device, weights=ask.weights, head=ask.head)
    batches = Batches(teacher, plan.batch, hint=WAY_OUT, note=progress.note)
    codecs = plan.codecs()
    for stored in plan.signals:
        way = [*stored.via, *((stored.codec,) if stored.codec != "int8" else ())]
        own = sum(ROUNDED.get(name, 0.0) for name in way)
        report.tolerance[stored.signal.name] = (
            own + REPEATABLE[plan.teacher.precision] if ask.tolerance is None else ask.tolerance
        )
    progress.start("teacher", sum(len(wanted) for _, wanted in rows))
    for part, batch in rendered_again(store, source, rows, ask.workers):
        # Of other pixels the teacher may say what it likes: those are told as what they are, once.
        others = {found.rows[0]: found for found in drifted(store, part, batch) if found.rows is not None}
        report.findings += [found for found in others.values() if found not in report.findings]
        progress.advance(len(batch.rows))
        seen = [place for place, row in enumerate(batch.rows) if row not in others]
        if not seen:
            continue
        said = batches.emit(batch.shown())
        rows_seen = np.asarray(batch.rows)[seen]
        places = rows_seen - plan.rows_of(part).start
        mapped = store.map_part(part)
        for name, codec in codecs.items():
            fields = {
                f.name: mapped[f.name].whole() if f.per_part else mapped[f.name].take(places) for f in codec.fields()
            }
            now = said[name].cpu().numpy()[seen]
            # A byte of int8 stands for every value within half its channel's scale; only what lies beyond is a difference.
            slack = fields[f"{name}_scale"] / 2 if codec.name == "int8" else np.float32(0)
            _judge(part, name, rows_seen, distance(codec.decode(fields), now, slack), report)
        report.said_again += len(seen)


def distance(stored: Any, now: NDArray[np.float32], slack: Any = 0.0) -> NDArray[np.float64]:
    """How far each row is from what is stored: largest difference of a stored class's probability, or, for dense rows, the length
    of the difference as a share of the row's own. A row that says NaN or infinity is infinitely far."""
    broken = ~np.isfinite(now).reshape(len(now), -1).all(-1)
    now = np.where(broken.reshape(-1, *(1 for _ in now.shape[1:])), np.float32(0), now)
    return np.where(broken, np.inf, _distance(stored, now, slack))


def _distance(stored: Any, now: NDArray[np.float32], slack: Any) -> NDArray[np.float64]:
    if isinstance(stored, TopK):
        chosen = np.take_along_axis(_softmax(now), stored.ids, -1)
        return np.asarray(np.abs(stored.sparse(1.0, "none").p - chosen).max(-1))
    if isinstance(stored, Logits):
        return np.asarray(np.abs(_softmax(stored.values) - _softmax(now)).max(-1))
    beyond = np.maximum(np.abs(stored.astype(np.float64) - now) - slack, 0.0).reshape(len(now), -1)
    length = np.linalg.norm(stored.reshape(len(now), -1).astype(np.float64), axis=-1)
    return np.asarray(np.linalg.norm(beyond, axis=-1) / np.maximum(length, 1e-12))


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(-1, keepdims=True))


def _judge(part: PartId, name: str, rows: NDArray[Any], far: NDArray[np.float64], report: Report) -> None:
    report.distance[name] = max(report.distance.get(name, 0.0), float(far.max(initial=0.0)))
    limit = report.tolerance[name]
    beyond = ~(far <= limit)
    for row, apart in zip(rows[beyond].tolist(), far[beyond], strict=True):
        what = f"the teacher says something else now: distance {apart:.3g}, tolerance {limit:.3g}"
        report.findings.append(Finding(part, name, range(row, row + 1), what, kind="drift"))
