"""What a build will cost, before anyone pays for it: bytes a signal and codec, hours from a measured batch, free disk.

Time and bytes do not depend on the values of the weights, so nothing is downloaded: unless weights are at hand, the true
architecture is measured with random ones.
"""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from kdcache.codecs import make_codec
from kdcache.errors import UsageError
from kdcache.options import BuildOptions
from kdcache.prepare import CACHES, prepare
from kdcache.signals import Signal
from kdcache.trial import Trial


@dataclass(frozen=True)
class CodecCost:
    """What one signal costs in one codec."""

    signal: str
    shape: tuple[int, ...]
    codec: str
    bytes_per_row: float
    total_bytes: float
    error: dict[str, float]
    chosen: bool


@dataclass(frozen=True)
class Estimate:
    """The bill."""

    teacher: str
    device: str
    batch: int
    rows: int
    views: int
    costs: tuple[CodecCost, ...]
    total_bytes: float
    parts: int
    free_bytes: int
    teacher_images_per_second: float
    render_images_per_second: float
    hours: float
    notes: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """True when the disk has room for it."""
        return self.total_bytes <= self.free_bytes


def estimate(options: BuildOptions, out: Path | None = None) -> Estimate:
    """Measure one batch and multiply. Nothing is written."""
    notes: list[str] = []
    if options.weights is None and options.data is not None and options.size != "nano":
        options = replace(options, weights="random")
        notes.append("measured with random weights: time and bytes do not depend on their values")
    prepared = prepare(options, out, quick=True)
    plan, trial = prepared.plan, prepared.trial
    assert trial is not None
    images = plan.dataset.rows * plan.views.count
    teacher_rate = trial.batch / trial.say_seconds
    render_rate = max(1, options.render_workers) / trial.render_seconds
    if prepared.listing.classes is None and options.classes is None and plan.teacher.classes:
        notes.append(f"no class names: assuming {len(plan.teacher.classes):,} classes; --classes FILE says otherwise")
    costs = tuple(cost for stored in plan.signals for cost in _costs(stored.signal, stored.codec, trial, images))
    total = sum(cost.total_bytes for cost in costs if cost.chosen) + images * DIGEST_BYTES
    return Estimate(
        teacher=f"{plan.teacher.family} {plan.teacher.size}",
        device=options.device,
        batch=plan.batch,
        rows=plan.dataset.rows,
        views=plan.views.count,
        costs=costs,
        total_bytes=total,
        parts=len(plan.parts()),
        free_bytes=shutil.disk_usage(_existing_parent(out or CACHES)).free,
        teacher_images_per_second=teacher_rate,
        render_images_per_second=render_rate,
        hours=images / min(teacher_rate, render_rate) / 3600,
        notes=(*notes, *(note for note in prepared.notes if not note.startswith("random"))),
    )


DIGEST_BYTES = 4
OTHER_CODECS = {"logits": ("topk:1", "topk:10", "topk:100", "full", "full:float16")}
DENSE_CODECS = ("float32", "float16", "bfloat16", "int8")


def _costs(signal: Signal, chosen: str, trial: Trial, images: int) -> list[CodecCost]:
    """The chosen codec first, then the others that suit the signal, each with its error on the measured batch."""
    result = []
    values = trial.said[signal.name]
    others = OTHER_CODECS.get(signal.name, DENSE_CODECS)
    for name in dict.fromkeys((chosen, *others)):
        try:
            codec = make_codec(name, signal)
        except UsageError:
            continue  # top-100 of ten classes: not a choice here
        row = sum(field.row_bytes for field in codec.fields() if not field.per_part)
        result.append(
            CodecCost(signal.name, signal.shape, name, row, row * images, codec.error(values), chosen=name == chosen)
        )
    return result


def _existing_parent(path: Path) -> Path:
    path = path.absolute()
    return path if path.exists() else _existing_parent(path.parent)
