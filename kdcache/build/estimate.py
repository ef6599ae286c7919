"""Estimate what a build will cost: bytes of each signal and codec, hours from a measured batch, free disk space.

Time and bytes do not depend on the values of the weights, so nothing is downloaded: when no weights are available locally, the
real architecture is measured with random ones.
"""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kdcache.base.newest import CACHES
from kdcache.base.notes import Note, Notes
from kdcache.base.progress import Progress
from kdcache.build.check import check_asked
from kdcache.build.notes import RANDOM
from kdcache.build.options import BuildOptions
from kdcache.build.prepare import prepare
from kdcache.build.trial import Trial
from kdcache.codecs import codec_choices, make_codec
from kdcache.images.source import Listing
from kdcache.store.backends.choose import backend_of
from kdcache.store.blocks import cut_payload
from kdcache.store.plan import PartId, Plan, StoredSignal
from kdcache.teachers.family import HEAD_SIGNAL

if TYPE_CHECKING:
    import torch


RECEIPT_BYTES, FIELD_BYTES, BLOCK_BYTES = 300, 200, 36
"""Bytes of a receipt itself, of each field it lists and of each block it lists."""
INDEX_BYTES = 16
"""Bytes of one row in the index, without its image id."""
ERROR_IMAGES = 4


@dataclass(frozen=True)
class CodecCost:
    """What it costs to store one signal with one codec."""

    signal: str
    shape: tuple[int, ...]
    codec: str
    bytes_per_row: float
    total_bytes: float
    error: dict[str, float]
    """Measured error of the codec, by name of the measure; empty with too few images or random weights."""
    chosen: bool


@dataclass(frozen=True)
class Estimate:
    """The estimated cost of a build."""

    teacher: str
    device: str
    batch: int
    rows: int
    views: int
    costs: tuple[CodecCost, ...]
    overhead_bytes: float
    """Bytes of the index, file headers and receipts."""
    total_bytes: float
    parts: int
    free_bytes: int
    teacher_images_per_second: float
    render_images_per_second: float
    hours: float
    notes: tuple[Note, ...]
    warnings: tuple[str, ...]
    plan: Plan
    """The plan of the cache, with random weights where the teacher's own are not here."""

    @property
    def fits(self) -> bool:
        """True when the disk has room for the cache."""
        return self.total_bytes <= self.free_bytes


def estimate(options: BuildOptions, out: Path | None = None, *, progress: Progress | None = None) -> Estimate:
    """Measure one batch and multiply. Nothing is written."""
    notes = Notes()
    options = _measurable(options, out, notes)
    prepared = prepare(options, out, quick=True, progress=progress)
    plan, trial = prepared.plan, prepared.trial
    assert trial is not None
    images = plan.dataset.rows * plan.views.count
    teacher_rate = trial.batch / trial.teacher_seconds
    render_rate = max(1, options.render_workers) / trial.render_seconds
    if prepared.listing.classes is None and options.classes is None and plan.teacher.classes:
        notes.add(f"no class names: assuming {len(plan.teacher.classes):,} classes; --classes FILE says otherwise")
    shown = {name: values for name, values in trial.emitted.items() if _worth_showing(name, plan, trial)}
    costs = tuple(c for stored in plan.signals for c in _costs(stored, images, shown.get(stored.signal.name)))
    overhead = file_overhead(plan, prepared.listing)
    added = sum(field.row_bytes for field in plan.layout.added_fields())
    total = sum(cost.total_bytes for cost in costs if cost.chosen) + images * added + overhead
    return Estimate(
        teacher=f"{plan.teacher.family} {plan.teacher.size}",
        device=options.device,
        batch=plan.batch,
        rows=plan.dataset.rows,
        views=plan.views.count,
        costs=costs,
        overhead_bytes=overhead,
        total_bytes=total,
        parts=len(plan.parts()),
        free_bytes=shutil.disk_usage(_existing_parent(out or CACHES)).free,
        teacher_images_per_second=teacher_rate,
        render_images_per_second=render_rate,
        hours=images / min(teacher_rate, render_rate) / 3600,
        notes=(*notes, *(note for note in prepared.notes if note.kind != RANDOM)),
        warnings=prepared.warnings,
        plan=plan,
    )


def _measurable(options: BuildOptions, out: Path | None, notes: Notes) -> BuildOptions:
    """The options with random weights where the teacher's own would have to be downloaded; notes say so."""
    from kdcache.teachers.registry import family_of

    if options.weights is not None or _at_hand(options):
        return options
    check_asked(options, out)  # before the options are replaced below
    options = replace(options, weights="random")
    notes.add("measured with random weights: time and bytes do not depend on their values")
    if HEAD_SIGNAL in options.kept and options.head is None and family_of(options.teacher).headless:
        notes.add("logits need a head before they can be built: `kd teacher fit-head`, then --head FILE")
    return options


def _at_hand(options: BuildOptions) -> bool:
    """Whether the teacher's weights need no download: they are in the package, or lie on this machine."""
    from kdcache.teachers.embedded import images_and_size
    from kdcache.teachers.registry import family_of, is_published

    _, size = images_and_size(options.teacher, options.size, options.weights, options.data)
    packaged = family_of(options.teacher).find_packaged(size) is not None
    return packaged or not is_published(options.teacher)


def _worth_showing(signal: str, plan: Plan, trial: Trial) -> bool:
    """Whether to show a codec's error: measured on too few images, or on logits of random weights, it would mislead."""
    return len(trial.emitted[signal]) >= min(ERROR_IMAGES, plan.dataset.rows) and not (
        plan.teacher.weights.random and plan.teacher.signal(signal).kind == "distribution"
    )


def _costs(stored: StoredSignal, images: int, values: "torch.Tensor | None") -> list[CodecCost]:
    """The costs of the chosen codec, then of the others that suit the signal, with their errors on the measured batch."""
    result, signal = [], stored.signal
    for name in dict.fromkeys((stored.codec, *codec_choices(signal))):
        codec = make_codec(name, signal)
        row = codec.row_bytes
        error = {} if values is None else codec.error(values)
        chosen = name == stored.codec
        result.append(CodecCost(signal.name, signal.shape, name, row, row * images, error, chosen=chosen))
    return result


def file_overhead(plan: Plan, listing: Listing) -> float:
    """Bytes of a cache that are not rows: the index, and the headers, alignment and checksums of each part."""
    one_row = plan.model_copy(update={"dataset": plan.dataset.model_copy(update={"rows": 1})})
    fields, part = plan.fields(), PartId(0, 0)
    payload = {f.name: np.zeros(f.shape if f.per_part else (1, *f.shape), f.dtype) for f in fields}
    cuts = cut_payload(one_row, fields, range(1), payload, {})
    backend = backend_of(plan)
    written = sum(memoryview(piece).nbytes for image in backend.images(one_row, part, cuts) for piece in image.pieces)
    headers = written - sum(field.row_bytes for field in fields if not field.per_part)
    blocks = sum(-(-plan.layout.rows_per_part // rows) for rows in plan.layout.block_rows.values())
    frames = sum(len(content) for content in backend.frame(plan, 0).values())
    a_part = headers + RECEIPT_BYTES + FIELD_BYTES * len(fields) + BLOCK_BYTES * blocks
    index = listing.ids.nbytes + INDEX_BYTES * len(listing)
    return float(index + frames * plan.views.count + a_part * len(plan.parts()))


def _existing_parent(path: Path) -> Path:
    path = path.absolute()
    return path if path.exists() else _existing_parent(path.parent)
