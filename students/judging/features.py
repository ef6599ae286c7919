"""Computes embeddings of images.

Input: a student and labelled pictures. Output: embeddings, float32 on the device, and the labels of the readable images.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kdcache.base.progress import Progress
from kdcache.base.strict import Strict
from kdcache.errors import BadImage, Damage, Mismatch, UsageError
from kdcache.images import Source
from students.judging.judged import EMBEDDING, Judged
from students.judging.pictures import Labelled, Pictures, Rows

if TYPE_CHECKING:
    from torch import Tensor

_COMPARED = 8
"""Number of images of the same id in two sources whose contents are compared."""


class Compared(Strict):
    """Facts about the judged images and the bank they were compared with, for reports."""

    data: str
    fingerprint: str
    bank: str
    bank_fingerprint: str
    images: int
    bank_images: int
    unlabelled: int
    rejected: dict[str, str]
    """Image id -> why it could not be read."""


class Features(NamedTuple):
    """Embeddings of some images."""

    values: "Tensor"
    labels: Rows
    rejected: dict[str, str]
    """Image id -> why it could not be read."""


@dataclass(frozen=True)
class Embedded:
    """Embeddings and labels of the judged images and of the bank."""

    queries: "Tensor"
    labels: Rows
    bank: "Tensor"
    bank_labels: Rows
    facts: Compared


def look_once(
    student: Judged, pictures: Pictures, *, progress: Progress, stage: str = "features"
) -> "tuple[Tensor, Rows]":
    """The embedding and label of every readable image, in row order."""
    import torch

    found, rows = [], []
    with student.at_rest():
        for which, features in pictures.look(student.ask(EMBEDDING), progress=progress, stage=stage):
            found.append(features.float())
            rows.append(which)
    features = torch.cat(found)
    if lost := int((~features.isfinite()).any(1).sum()):
        raise Damage(
            f"{lost:,} of {len(features):,} embeddings contain NaN or infinity",
            hint="training diverged: retrain with a lower rate or --set precision=float32",
        )
    return features, pictures.images.labels[np.concatenate(rows)]


def check_bank(images: Labelled, bank: Labelled) -> None:
    """Refuse a bank with other classes, or one that contains judged images: each would be its own nearest image."""
    if images.fingerprint == bank.fingerprint:
        raise UsageError(
            f"{images.source.name} would be searched in itself, where each image is its own nearest",
            hint="name other images of the same classes with --bank",
        )
    if shared := _in_both(images, bank):
        raise UsageError(
            f"{shared:,} images of {images.source.name} are in {bank.source.name} too, where each is its own nearest",
            hint="name other images of the same classes with --bank",
        )
    if images.classes != bank.classes:
        raise Mismatch(
            f"{images.source.name} and {bank.source.name} do not have the same classes: {_difference(images, bank)}",
            hint="name images of the same classes, in the same order, with --bank",
        )
    if not np.isin(images.labels, bank.labels).any():
        raise Mismatch(
            f"no class of {images.source.name} has an image in {bank.source.name}", hint="name another bank with --bank"
        )


def _difference(images: Labelled, bank: Labelled) -> str:
    ours, theirs = images.classes or (), bank.classes or ()
    only = [
        f"only {side.source.name} has {', '.join(map(repr, sorted(set(mine) - set(other))[:3]))}"
        for side, mine, other in ((images, ours, theirs), (bank, theirs, ours))
        if set(mine) - set(other)
    ]
    return "; ".join(only) or "the same ones in another order"


def _in_both(images: Labelled, others: Labelled) -> int:
    """Number of images in both: those of the same id, unless the first of them show different pictures."""
    shared = sorted({*map(str, images.ids)} & {*map(str, others.ids)})
    whole = whole_of(images.source.spec()) == whole_of(others.source.spec())
    same = bool(shared) and (whole or _same_picture(images.source, others.source, shared[:_COMPARED]))
    return len(shared) if same else 0


def _same_picture(images: Source, others: Source, ids: list[str]) -> bool:
    """Whether an id of two sources means the same image: splits of one data set often use the same file names."""
    for image_id in ids:
        with suppress(BadImage):  # reported where the images are rendered
            ours, theirs = images.read(image_id), others.read(image_id)
            if isinstance(ours, bytes) or isinstance(theirs, bytes):
                same = isinstance(theirs, bytes) and ours == theirs
            else:
                same = np.array_equal(ours, theirs)
            if same:
                return True
    return False


def whole_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What two specifications have in common where one source is a part of the other, or both of a third."""
    while spec["kind"] == "few":
        spec = spec["of"]
    return {key: value for key, value in spec.items() if key not in ("count", "size", "order")}
