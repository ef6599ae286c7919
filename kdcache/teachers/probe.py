"""Fit a head for a teacher without a classifier: a linear probe on its embeddings of labelled images, written to a file.

Input: a teacher and a labelled source. Output: a head file for `--head`, with its accuracy on held-out images.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kdcache.base.atomic import make_folder
from kdcache.base.dice import chosen
from kdcache.base.machine import default_batch
from kdcache.base.progress import Progress
from kdcache.errors import UsageError
from kdcache.images.paths import no_labels_hint
from kdcache.images.source import UNLABELLED, Listing, Source
from kdcache.render import RenderPool
from kdcache.teachers.embedded import images_and_size
from kdcache.views.recipe import on

if TYPE_CHECKING:
    import torch

    from kdcache.teachers.teacher import Teacher

LABELS_WANTED = "give one folder for each class, or another labelled source (docs/sources.md)"
_CHOICE = 0x5A3B1F


@dataclass(frozen=True)
class FittedHead:
    """A head file and its accuracy."""

    path: Path
    teacher: str
    classes: int
    images: int
    """Number of images on which the probe was fitted, selected or tested."""
    rejected: int
    reason: str
    """Name of the first image that could not be read, and the reason."""
    empty: tuple[str, ...]
    """Classes without an image."""
    accuracy: float
    """Top-1 accuracy on the tenth of the images that is not used for fitting."""


@dataclass(frozen=True)
class Sample:
    """The labelled images to use."""

    ids: list[str]
    labels: NDArray[np.int32]


def fit_head_file(
    name: str,
    out: Path,
    *,
    progress: Progress,
    size: str | None = None,
    weights: str | None = None,
    data: str | None = None,
    background: str | None = None,
    limit: int | None = None,
    device: str = "cpu",
    batch: int | None = None,
    workers: int = 0,
    seed: int = 0,
) -> FittedHead:
    """Embed labelled images (at most `limit` of them) with a teacher, fit a probe and write it to `out`.

    `background`: colour shown through transparent pixels; None means the default of a build.
    """
    from kdcache.teachers.heads.fit import fit_head
    from kdcache.teachers.heads.heads import save_head
    from kdcache.teachers.registry import open_teacher

    _refuse_existing(out)
    source, size = images_and_size(name, size, weights, data)
    listing = source.scan()
    sample = labelled_sample(listing, limit, seed, no_labels_hint(source.spec(), LABELS_WANTED))
    progress.note("loading the teacher")
    teacher = open_teacher(name, size=size, weights=weights, signals=("embedding",), device=device)
    look = partial(embed, batch=batch or default_batch(teacher.spec.preprocess.size, device), workers=workers)
    embeddings, good, reason = look(teacher, source, sample, background=background, progress=progress)
    assert listing.classes is not None
    head = fit_head(embeddings, sample.labels[good], listing.classes, seed=seed)
    save_head(head, out, teacher=teacher.spec, dataset=source.name, fingerprint=listing.fingerprint)
    return FittedHead(
        path=out,
        teacher=f"{teacher.spec.family} {teacher.spec.size}",
        classes=len(listing.classes),
        images=len(good),
        rejected=len(sample.ids) - len(good),
        reason=reason,
        empty=_unseen(listing.classes, sample.labels[good]),
        accuracy=float(head.facts["accuracy"]),
    )


def _refuse_existing(out: Path) -> None:
    """UsageError, before anything is computed, if the head file exists or its folder does not."""
    if out.exists():
        raise UsageError(f"{out} is there already", hint="choose another file with --out")
    make_folder(out.absolute().parent)


def _unseen(classes: tuple[str, ...], labels: NDArray[np.int32]) -> tuple[str, ...]:
    """Classes without a labelled image."""
    counts = np.bincount(labels, minlength=len(classes))
    return tuple(classes[number] for number in np.flatnonzero(counts == 0))


def labelled_sample(listing: Listing, limit: int | None, seed: int, way: str = LABELS_WANTED) -> Sample:
    """The labelled images of a listing, or a seeded choice of `limit` of them, in row order."""
    if listing.labels is None or listing.classes is None:
        raise UsageError(
            "a head is fitted on labelled images, but these have no labels",
            hint=way,
        )
    rows = np.flatnonzero(listing.labels != UNLABELLED)
    if limit is not None and limit < len(rows):
        rows = rows[chosen(limit, len(rows), seed, _CHOICE)]
    return Sample(listing.ids.take(rows).to_pylist(), listing.labels[rows])


def embed(
    teacher: "Teacher",
    source: Source,
    sample: Sample,
    *,
    background: str | None = None,
    batch: int,
    workers: int,
    progress: Progress,
) -> tuple["torch.Tensor", NDArray[np.int64], str]:
    """Embed plain views; returns embeddings of readable images, their positions, and the reason of the first unreadable one."""
    import torch

    from kdcache.teachers.batches import Batches

    pool = RenderPool(
        source,
        on(teacher.spec.preprocess.geometry, background),
        seed=0,
        size=teacher.spec.preprocess.size,
        ids=sample.ids,
        workers=workers,
        batch=batch,
    )
    batches = Batches(teacher, batch, hint="choose a smaller --size or another --device", note=progress.note)
    embeddings, good, reason = [], [], ""
    progress.start("embed", len(sample.ids))
    with pool:
        for rendered in pool.batches(_requests(len(sample.ids), batch)):
            for row, why in rendered.bad.items():
                reason = reason or f"{sample.ids[row]}: {why}"
            kept = [place for place, row in enumerate(rendered.rows) if row not in rendered.bad]
            embeddings.append(batches.emit(rendered.shown())["embedding"].cpu()[kept])
            good += [rendered.rows[place] for place in kept]
            progress.advance(len(rendered.rows), rejected=len(rendered.bad))
    progress.finish()
    return torch.cat(embeddings), np.array(good), reason


def _requests(count: int, batch: int) -> Iterator[tuple[int, range]]:
    for start in range(0, count, batch):
        yield 0, range(start, min(start + batch, count))
