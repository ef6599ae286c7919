"""Writes predictions of a student or a teacher for images: classes with their probabilities, or embeddings.

Input: images, labelled or not. Output: a CSV or JSONL file, one line per image in the source's order. It appears under its name
only when it is complete.
"""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcache.base.atomic import make_folder, write_file
from kdcache.base.progress import Progress
from kdcache.errors import Damage, UsageError
from kdcache.images import Source
from students.base.types import LOGITS
from students.judging.judged import EMBEDDING, Judged
from students.judging.pictures import Labelled, Pictures

if TYPE_CHECKING:
    from torch import Tensor

TOP = 5
FORMATS = (".csv", ".jsonl")


@dataclass(frozen=True)
class Predicted:
    """The file that was written."""

    path: Path
    images: int
    head: str
    """Head whose output was written: `logits` or `embedding`."""
    rejected: dict[str, str]
    """Image id -> why it could not be read; such an image has no line in the file."""


def check_file(out: Path) -> None:
    """Refuse a file that is neither CSV nor JSONL, and one that exists already."""
    if out.suffix not in FORMATS:
        raise UsageError(f"{out} is neither a .csv nor a .jsonl file", hint=f"--out {out.stem or 'predictions'}.csv")
    if out.exists():
        raise UsageError(f"{out} is there already", hint="choose another file with --out, or remove it")


def predict(
    student: Judged, source: Source, head: str, out: Path, *, top: int, workers: int, progress: Progress
) -> Predicted:
    """Write the output of `head` for every image that can be read."""
    check_file(out)
    listing = source.scan()
    images = Labelled(
        source=source,
        ids=listing.ids.to_pylist(),
        labels=np.full(len(listing), -1, np.int64),
        classes=None,
        fingerprint=listing.fingerprint,
        listing=listing,
        unlabelled=len(listing),
    )
    lines = _Csv() if out.suffix == ".csv" else _Json()
    rows = 0

    def written() -> Iterator[bytes]:
        nonlocal rows
        for number, batch in enumerate(_batches(student, pictures, head, top, progress)):
            if not number:
                yield lines.head(batch)
            rows += len(batch)
            yield lines.body(batch)

    with Pictures(images, student.spec, workers=workers, batch=student.batch) as pictures:
        make_folder(out.absolute().parent)
        write_file(out, written())
    return Predicted(out, rows, head, pictures.rejected)


Row = tuple[str, "list[tuple[str, float]] | list[float]"]
"""Image id with its most likely classes and their probabilities, or with its embedding."""


def _batches(student: Judged, pictures: Pictures, head: str, top: int, progress: Progress) -> Iterator[list[Row]]:
    ids, classes = pictures.images.ids, student.spec.classes
    with student.at_rest():
        for rows, values in pictures.look(student.ask(head), progress=progress, stage="predict"):
            if not bool(values.isfinite().all()):
                raise Damage(
                    "the network's output contains NaN or infinity: its weights are broken",
                    hint="use weights of another run",
                )
            given = _first(values, classes, top) if head == LOGITS else values.float().cpu().tolist()
            yield [(ids[row], each) for row, each in zip(rows.tolist(), given, strict=True)]


def _first(logits: "Tensor", classes: tuple[str, ...], top: int) -> list[list[tuple[str, float]]]:
    """The `top` most probable classes of each image; of equally probable ones the lower number comes first."""
    shares, order = logits.double().softmax(1).sort(dim=1, descending=True, stable=True)
    return [
        [(classes[number], share) for number, share in zip(numbers[:top], each[:top], strict=True)]
        for numbers, each in zip(order.tolist(), shares.tolist(), strict=True)
    ]


class _Csv:
    """One line per image: `image,class1,probability1,…`, or `image,e0,e1,…`."""

    def head(self, batch: list[Row]) -> bytes:
        """The header: names of the columns."""
        names: list[str] = ["image"]
        for number, value in enumerate(batch[0][1] if batch else []):
            pair = isinstance(value, tuple)
            names += [f"class{number + 1}", f"probability{number + 1}"] if pair else [f"e{number}"]
        return _written([names])

    def body(self, batch: list[Row]) -> bytes:
        """The lines of a batch."""
        return _written([[name, *_flat(values)] for name, values in batch])


def _flat(values: Any) -> list[Any]:
    return [part for value in values for part in (value if isinstance(value, tuple) else (value,))]


def _written(rows: list[list[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [f"{value:.7g}" if isinstance(value, float) else value for value in row] for row in rows
    )
    return text.getvalue().encode("utf-8", "backslashreplace")


class _Json:
    """One object per image: `{"image": …, "classes": [{"class": …, "probability": …}]}`, or with `embedding`."""

    def head(self, batch: list[Row]) -> bytes:
        """Nothing: JSON lines have no header."""
        return b""

    def body(self, batch: list[Row]) -> bytes:
        """The lines of a batch."""
        return b"".join(json.dumps(_object(name, values)).encode() + b"\n" for name, values in batch)


def _object(name: str, values: Any) -> dict[str, Any]:
    if values and isinstance(values[0], tuple):
        return {"image": name, "classes": [{"class": each, "probability": share} for each, share in values]}
    return {"image": name, EMBEDDING: values}
