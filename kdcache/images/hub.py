"""Images in a Hugging Face dataset: a folder written by `save_to_disk`, or one on the Hub. Needs the extra `datasets`.

Input: a name or folder, a split and, if they are ambiguous, the columns. Output: a source whose ids come from a column of ids
(`image_id`, `id`, `file_name` …) or, without one, are `split/row number`. Class names come from the dataset's own ClassLabel, the
row order is the dataset's. The Hub is contacted only if the data are not on this machine, and never with HF_HUB_OFFLINE set.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kdcache.base.figures import whole
from kdcache.errors import BadImage, Unavailable, UsageError
from kdcache.images.columns import Columns, choose_columns
from kdcache.images.labels import Labels
from kdcache.images.listing import Lister
from kdcache.images.paths import existing, short_name
from kdcache.images.source import Listing
from kdcache.images.unique import Lookup, refuse_duplicates

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

_BATCH = 1000


def saved_to_disk(path: str) -> bool:
    """Whether a folder was written by `save_to_disk`."""
    single = all(os.path.isfile(os.path.join(path, n)) for n in ("dataset_info.json", "state.json"))
    return single or os.path.isfile(os.path.join(path, "dataset_dict.json"))


class HubSource:
    """Images in one split of a `datasets` dataset."""

    def __init__(
        self,
        name: str,
        split: str | None = None,
        *,
        config: str | None = None,
        revision: str | None = None,
        image: str | None = None,
        label: str | None = None,
        id: str | None = None,
    ) -> None:
        self._on_disk = name.startswith((".", "/", "~")) or saved_to_disk(name)
        where = existing(name, "folder") if self._on_disk else name
        wanted = {"split": split, "config": config, "revision": revision, "image": image, "label": label, "id": id}
        self._spec = {"name": where, **{k: v for k, v in wanted.items() if v is not None}}
        self._data: Dataset | None = None
        self._columns = Columns("")
        self._lookup: Lookup | None = None

    @property
    def name(self) -> str:
        """The dataset's name and split."""
        split = self._spec.get("split")
        return short_name(self._spec["name"]) + (f"-{split}" if split else "")

    def spec(self) -> dict[str, Any]:
        """The plain values from which `open_source` makes this source again."""
        return {"kind": "hf", **self._spec}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_data": None, "_lookup": None}

    def _table(self) -> Dataset:
        """The opened dataset, reduced to the columns that are used."""
        if self._data is None:
            data = _open(self._spec)
            self._columns = choose_columns(data.features, self._spec)
            kept = [c for c in (self._columns.image, self._columns.label, self._columns.id) if c]
            self._data = data.select_columns(kept).with_format("arrow")
        return self._data

    def _row_id(self, row: int) -> str:
        split = self._spec.get("split") or self._table().split or "train"
        return f"{split}/{row:08d}"

    def _ids(self) -> Iterator[str]:
        data, column = self._table(), self._columns.id
        if column is None:
            yield from (self._row_id(row) for row in range(len(data)))
            return
        place = 0
        for batch in data.select_columns([column]).iter(_BATCH):
            for value in batch.column(column).to_pylist():
                if value is None or value == "":
                    raise UsageError(
                        f"row {place} of {self.name} has no {column}",
                        hint="name another column, or id=row for row numbers",
                    )
                yield str(value)
                place += 1

    def _find(self) -> Lookup:
        if self._lookup is None:
            self._lookup = Lookup(self._ids())
        return self._lookup

    def scan(self) -> Listing:
        """Read the ids, labels and sizes once; the images themselves are not read."""
        data, columns = self._table(), self._columns
        if not len(data):
            raise UsageError(f"{self.name} has no rows", hint="name another split")
        if columns.id is not None:
            refuse_duplicates(
                self._find(), self._id_at, "row {}".format, f"{columns.id} is not unique: use id=row or another"
            )
        lister, labels, ids = Lister(), Labels(self.name), self._ids()
        for batch in data.iter(_BATCH):
            given_labels = batch.column(columns.label).to_pylist() if columns.label else [None] * len(batch)
            for size, label in zip(_sizes(batch.column(columns.image)), given_labels, strict=True):
                image_id = next(ids)
                lister.add(image_id, size)
                labels.add(label, image_id)
        return replace(labels.finish(lister, columns.classes), order_doubt=None)

    def _id_at(self, row: int) -> str:
        assert self._columns.id is not None
        return str(self._table()[row].column(self._columns.id)[0].as_py())

    def read(self, image_id: str) -> bytes | NDArray[np.uint8]:
        """The encoded bytes in one row."""
        data = self._table()
        for row in self._rows(image_id):
            record = data[row]
            if self._columns.id is None or str(record.column(self._columns.id)[0].as_py()) == image_id:
                return _encoded(record.column(self._columns.image)[0].as_py())
        raise BadImage(f"no row {image_id!r} in {self.name}")

    def _rows(self, image_id: str) -> Iterator[int]:
        if self._columns.id is not None:
            yield from self._find().candidates(image_id)
            return
        digits = image_id.rpartition("/")[2]
        row = whole(digits)
        if row is not None and row < len(self._table()) and image_id == self._row_id(row):
            yield row


def _sizes(images: pa.ChunkedArray) -> list[int]:
    """Size of each image in bytes: in the table, or of the file that a row names; -1 if there is neither."""
    if not pa.types.is_struct(images.type):
        return [-1 if n is None else n for n in pc.binary_length(images).to_pylist()]
    sizes = pc.binary_length(pc.struct_field(images, "bytes")).to_pylist()
    if None not in sizes:
        return list(sizes)
    paths = pc.struct_field(images, "path").to_pylist()
    return [_file_size(path) if size is None else size for size, path in zip(sizes, paths, strict=True)]


def _file_size(path: str | None) -> int:
    return os.path.getsize(path) if path and os.path.isfile(path) else -1


def _encoded(value: Any) -> bytes:
    if isinstance(value, dict):
        path, value = value["path"], value["bytes"]
        if value is None and path:
            try:
                with open(path, "rb") as file:
                    return file.read()
            except OSError as error:
                raise BadImage("file is missing") from error
    if value is None:
        raise BadImage("row has no image")
    assert isinstance(value, bytes)
    return value


def _open(spec: dict[str, str]) -> Dataset:
    name, split = spec["name"], spec.get("split", "train")
    try:
        import datasets
    except ImportError as error:
        raise Unavailable("reading `hf:` sources needs the library datasets", hint="pip install datasets") from error
    try:
        if name.startswith("/"):
            loaded = datasets.load_from_disk(name)
        else:
            loaded = datasets.load_dataset(name, spec.get("config"), split=split, revision=spec.get("revision"))
    except ValueError as error:
        raise UsageError(f"cannot open {name} (split {split}): {error}", hint="check the split and config") from error
    except (OSError, datasets.exceptions.DatasetsError) as error:
        raise Unavailable(
            f"cannot open {name} (split {split}): {error}",
            hint="check the name and the network, or give the folder of a dataset written by save_to_disk",
        ) from error
    return _split_of(loaded, name, spec.get("split"))


def _split_of(data: Dataset | DatasetDict, path: str, split: str | None) -> Dataset:
    if not isinstance(data, dict):
        if split is not None and data.split is not None and str(data.split) != split:
            raise UsageError(f"{path} holds the split {data.split}, not {split}", hint=f"hf:{path}")
        return data
    wanted = split or "train"
    if wanted not in data:
        raise UsageError(f"{path} has no split {wanted}", hint=f"it has {', '.join(data)}: use hf:{path}:SPLIT")
    found: Dataset = data[wanted]
    return found
