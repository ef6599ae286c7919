"""Export feature maps in the format of DIVE-Doc: one HDF5 file, and a JSON table for each split.

The file holds one dataset a split, each row a compound of `image_name` (text) and `teacher_features_output` (float32, tokens x
dim). `teacher_features_table_{split}.json`, beside it, maps image ids to rows. Unreadable images are left out of both, because
DIVE-Doc's loader skips an id that is not in the table.
"""

import json
import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcache.base.atomic import flush_folder, make_folder, storage_errors, write_file
from kdcache.base.progress import Progress
from kdcache.errors import Incomplete, StorageError, UsageError
from kdcache.store import MappedPart, Store
from kdcache.store.frame import INDEX
from kdcache.store.plan import PartId

FEATURES = "teacher_features_output"
SHOWN_LETTERS = 120
WRITE_BYTES = 32 << 20
CHUNK_BYTES = 1 << 20
ROW_OVERHEAD = 256
"""Bytes of chunk index and heap that HDF5 needs for a row, generously estimated."""


@dataclass(frozen=True)
class DiveDocExport:
    """The result of an export."""

    path: Path
    tables: tuple[Path, ...]
    rows: dict[str, int]
    left_out: int
    """Number of rows of unreadable images, which are not exported."""
    bytes: int


def export_divedoc(
    splits: Mapping[str, Store], file: Path, *, progress: Progress, signal: str = "features", view: int = 0
) -> DiveDocExport:
    """Write one view of one or several caches, each as a split (`{"train": store}`), as the file and tables of DIVE-Doc."""
    if file.exists():
        raise UsageError(f"{file} is there already", hint="choose another file")
    for split in splits:
        if not re.fullmatch(r"[\w.-]+", split):
            raise UsageError(f"{split!r} cannot be the name of a split", hint="use letters, digits, `_`, `-` and `.`")
    for store in splits.values():
        _check_ids(store)
    shape = _common_shape(splits, signal)
    parts = {split: _parts(store, view) for split, store in splits.items()}
    rows = {split: _good_rows(splits[split], mine) for split, mine in parts.items()}
    make_folder(file.absolute().parent)
    progress.start("export", sum(rows.values()))
    with _temporary(file) as new:
        tables = {}
        with _hdf5(new, _room(shape, rows, splits)) as opened:
            for split, store in splits.items():
                dataset = _create(opened, split, rows[split], shape)
                tables[split] = _write_split(dataset, store, parts[split], signal, progress)
        written = [_write_table(file, split, table) for split, table in tables.items()]
        with storage_errors(file):
            os.replace(new, file)
    flush_folder(file.absolute().parent)
    progress.finish()
    left_out = sum(store.plan.dataset.rows for store in splits.values()) - sum(rows.values())
    return DiveDocExport(file, tuple(written), rows, left_out, file.stat().st_size)


def _check_ids(store: Store) -> None:
    """UsageError for an image id with a zero byte, at which HDF5 ends a text."""
    import pyarrow.compute as pc

    ids = store.index.ids
    if (row := pc.index(pc.match_substring(ids.batch.column(0), "\0"), True).as_py()) >= 0:
        shown = ids[row] if len(ids[row]) <= SHOWN_LETTERS else ids[row][:SHOWN_LETTERS] + "…"
        message = f"{store.place}: the image id {shown!r} has a zero byte, which no text in HDF5 can have"
        raise UsageError(message, hint="rename that image and build its cache anew")


def _common_shape(splits: Mapping[str, Store], signal: str) -> tuple[int, ...]:
    shapes = {}
    for split, store in splits.items():
        stored = {s.signal.name: s.signal for s in store.plan.signals}
        if signal not in stored:
            raise UsageError(f"{store.place} holds no {signal}", hint=f"it holds {', '.join(stored)}")
        if stored[signal].kind != "map" or stored[signal].lengths:
            kind = (
                f"of kind {stored[signal].kind}{', with rows of different lengths' if stored[signal].lengths else ''}"
            )
            raise UsageError(f"{signal} must be tokens x dim: it is {kind}", hint="see kd cache info")
        shapes[split] = stored[signal].shape
    if len(set(shapes.values())) != 1 or any(len(shape) != 2 for shape in shapes.values()):
        given = ", ".join(f"{split} {' x '.join(map(str, shape))}" for split, shape in shapes.items())
        raise UsageError(
            f"{signal} must be tokens x dim and the same in every split: {given}", hint="see kd cache info"
        )
    return next(iter(shapes.values()))


def _parts(store: Store, view: int) -> list[PartId]:
    if not 0 <= view < store.plan.views.count:
        raise UsageError(f"no view {view} in {store.place}", hint=f"it has views 0 to {store.plan.views.count - 1}")
    unbuilt = store.missing_of(view)
    if unbuilt:
        message = f"{len(unbuilt)} parts of view {view} of {store.place} are not built yet, such as {unbuilt[0]}"
        raise Incomplete(message, hint="finish the build first")
    return store.plan.parts_of(view)


def _good_rows(store: Store, parts: list[PartId]) -> int:
    return sum(len(store.plan.rows_of(part)) - len(store.bad_rows_of(part)) for part in parts)


def _dtype(shape: tuple[int, ...]) -> np.dtype[Any]:
    import h5py

    return np.dtype([("image_name", h5py.string_dtype("utf-8")), (FEATURES, "<f4", shape)])


def _chunk_rows(shape: tuple[int, ...]) -> int:
    return max(1, CHUNK_BYTES // (math.prod(shape) * 4))


def _room(shape: tuple[int, ...], rows: dict[str, int], splits: Mapping[str, Store]) -> int:
    """Upper bound of the file's size in bytes."""
    row = math.prod(shape) * 4 + ROW_OVERHEAD
    names = sum(store.place.size(INDEX) for store in splits.values())
    return sum((count + _chunk_rows(shape)) * row for count in rows.values()) + names + (1 << 20)


@contextmanager
def _temporary(file: Path) -> Iterator[Path]:
    """A temporary name to write to. It is always the same, so that the file of a killed export is replaced, not left behind."""
    new = file.with_name(f".{file.name}.tmp-export")
    new.unlink(missing_ok=True)  # if it is a link, its target must not be written
    try:
        yield new
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def _hdf5(path: Path, room: int) -> Iterator[Any]:
    """A new HDF5 file whose disk space is reserved first, because libhdf5 crashes the process when the disk is full."""
    import h5py

    free = shutil.disk_usage(path.parent).free
    if free < room:
        message = f"{path.parent} has {free:,} bytes free; the export needs {room:,}"
        raise StorageError(message, hint="free some space there, or choose another folder")
    with storage_errors(path):
        opened = h5py.File(path, "w")
        try:
            opened.flush()
            with path.open("r+b") as reserved:
                os.posix_fallocate(reserved.fileno(), 0, room)
            yield opened
        finally:
            opened.close()
        _cut_reserve(path)


def _cut_reserve(path: Path) -> None:
    """Cut off unused reserved space: the superblock (version 0) has the end of the file at byte 40."""
    with path.open("r+b") as file:
        head = file.read(48)
        assert head[:9] == b"\x89HDF\r\n\x1a\n\x00", "h5py wrote another superblock than version 0"
        file.truncate(int.from_bytes(head[40:48], "little"))
        os.fsync(file.fileno())


def _create(opened: Any, split: str, rows: int, shape: tuple[int, ...]) -> Any:
    chunks = (_chunk_rows(shape),)
    return opened.create_dataset(split, (rows,), maxshape=(None,), dtype=_dtype(shape), chunks=chunks)


def _write_split(dataset: Any, store: Store, parts: list[PartId], signal: str, progress: Progress) -> dict[str, int]:
    """Write the rows of all readable images; returns image id -> row."""
    table: dict[str, int] = {}
    codec = store.plan.codecs()[signal]
    for part in parts:
        mapped, start = store.map_part(part), store.plan.rows_of(part).start
        for places in _pieces(mapped, dataset.dtype.itemsize):
            whole = {f.name: mapped[f.name] for f in codec.fields()}
            fields = {
                f.name: whole[f.name].whole() if f.per_part else whole[f.name].take(places) for f in codec.fields()
            }
            records = np.empty(len(places), dataset.dtype)
            records["image_name"] = [store.index[start + int(place)] for place in places]
            records[FEATURES] = codec.decode(fields)
            first = len(table)
            dataset[first : first + len(places)] = records
            table |= {name: first + i for i, name in enumerate(records["image_name"])}
            progress.advance(len(places), bytes=records.nbytes)
    return table


def _pieces(mapped: MappedPart, row_bytes: int) -> list[NDArray[np.int64]]:
    """The rows of readable images in a part, split into pieces of a few tens of megabytes."""
    places, together = np.flatnonzero(mapped.good), max(1, WRITE_BYTES // row_bytes)
    return [places[start : start + together] for start in range(0, len(places), together)]


def _write_table(file: Path, split: str, table: dict[str, int]) -> Path:
    path = file.with_name(f"teacher_features_table_{split}.json")
    write_file(path, [json.dumps(table, indent=4).encode()])
    return path
