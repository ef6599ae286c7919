"""Three synthetic datasets, written once in our format and once for each other library, with the same rows and types.

W1: top-100 logits, many small rows. W2: feature maps of a document encoder, few large rows. W3: ViT-B tokens, in between.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcache.codecs import make_codec
from kdcache.codecs.codec import Field
from kdcache.images.source import Listing
from kdcache.signals.signal import Signal
from kdcache.signals.teacher import Preprocess, TeacherSpec, Weights
from kdcache.store import Store, choose_layout, index_digest
from kdcache.store.plan import VIEW_DIGEST, Dataset, Layout, PartId, Plan, StoredSignal, ViewPlan
from kdcache.views.recipe import Plain

ZARR_CHUNK_BYTES = 1 << 20
"""Chunk size of the plain Zarr array, with which its readers were fastest."""


@dataclass(frozen=True)
class Workload:
    """A dataset to read: number and type of rows, and batch size."""

    name: str
    about: str
    rows: int
    signal: Signal
    codec: str
    batch: int
    cold_times: int = 1
    """Factor by which more rows are read in cold measurements, so that a fast disk is busy long enough to be timed."""

    @property
    def field(self) -> Field:
        """The array that is read."""
        return make_codec(self.codec, self.signal).fields()[0]

    @property
    def bytes(self) -> int:
        """Size of one copy in bytes."""
        return self.rows * self.field.row_bytes

    def scaled(self, scale: float) -> "Workload":
        """The workload with more or fewer rows, but at least two batches."""
        return replace(self, rows=max(2 * self.batch, round(self.rows * scale)))


_LOGITS = Signal(name="logits", shape=(21_841,))
WORKLOADS = {
    w.name: w
    for w in (
        Workload("W1", "top-100 logits", 200_000, _LOGITS, "topk:100", 256, cold_times=10),
        Workload("W2", "1200 x 1024 features", 400, Signal(name="features", shape=(1200, 1024)), "float16", 16),
        Workload("W3", "197 x 768 features", 4_000, Signal(name="features", shape=(197, 768)), "float16", 64),
    )
}


@dataclass(frozen=True)
class Written:
    """The paths of the copies of a workload."""

    workload: Workload
    folder: Path

    @property
    def ours(self) -> dict[str, Path]:
        """Our caches, by backend."""
        return {"hdf5": self.folder / "ours-hdf5", "zarr": self.folder / "ours-zarr"}

    @property
    def hdf5(self) -> Path:
        """A plain HDF5 file with one contiguous dataset `rows`."""
        return self.folder / "plain.h5"

    @property
    def zarr(self) -> Path:
        """A plain, uncompressed Zarr v3 array."""
        return self.folder / "plain.zarr"

    def files(self, *roots: Path) -> list[Path]:
        """All files under these paths."""
        return [f for root in roots for f in ([root] if root.is_file() else sorted(root.rglob("*"))) if f.is_file()]


def write(workload: Workload, folder: Path, *, peers: bool = True) -> Written:
    """Write our copies of a workload and, with `peers`, those for other libraries."""
    field, written = workload.field, Written(workload, folder)
    stores = [_store(workload, backend, path) for backend, path in written.ours.items()]
    with ExitStack() as stack:
        plain = _plain(written, stack) if peers else []
        for part, rows in _payloads(stores[0].plan, field):
            here = stores[0].plan.rows_of(part)
            for store in stores:
                store.write_part(part, {field.name: rows, VIEW_DIGEST.name: np.zeros(len(rows), VIEW_DIGEST.dtype)}, {})
            for array in plain:
                array[here.start : here.stop] = rows
    return written


def _plain(written: Written, stack: ExitStack) -> list[Any]:
    """Create the empty arrays for other libraries."""
    import h5py
    import zarr

    field, rows = written.workload.field, written.workload.rows
    shape = (rows, *field.shape)
    chunks = (min(rows, max(1, ZARR_CHUNK_BYTES // field.row_bytes)), *field.shape)
    file = stack.enter_context(h5py.File(written.hdf5, "w", libver="latest"))
    array = zarr.create_array(
        written.zarr, shape=shape, dtype=field.dtype, chunks=chunks, compressors=None, filters=None
    )
    return [file.create_dataset("rows", shape, field.dtype), array]


def _payloads(plan: Plan, field: Field) -> Iterator[tuple[PartId, NDArray[Any]]]:
    """Yield parts of random words, which cannot be compressed; readers do not interpret them."""
    for part in plan.parts():
        random = np.random.default_rng(part.number)
        shape = (len(plan.rows_of(part)), *field.shape)
        yield part, random.integers(0, 1 << 16, shape, np.uint16).view(field.dtype)


def _store(workload: Workload, backend: str, path: Path) -> Store:
    import pyarrow as pa

    ids = pa.array([f"{row:08d}" for row in range(workload.rows)], pa.large_string())
    listing = Listing(ids, None, None, f"bench-{workload.name}-{workload.rows}")
    geometry = Plain(fit="crop")
    size, half = (224, 224), (0.5, 0.5, 0.5)
    fields = (workload.field,)
    layout = choose_layout(fields, rows=workload.rows, batch=workload.batch)
    plan = Plan(
        teacher=TeacherSpec(
            family="bench",
            size=workload.name,
            weights=Weights(source="random:0", sha256="0" * 64),
            preprocess=Preprocess(size=size, geometry=geometry, mean=half, std=half),
            signals=(workload.signal,),
            taps={workload.signal.name: "random words"},
        ),
        dataset=Dataset(
            name="bench",
            source={},
            fingerprint=listing.fingerprint,
            rows=workload.rows,
            index_digest=index_digest(listing),
            classes=None,
        ),
        views=ViewPlan(recipe=geometry, seed=0, count=1),
        signals=(StoredSignal(signal=workload.signal, codec=workload.codec, bytes_per_row=workload.field.row_bytes),),
        batch=workload.batch,
        layout=Layout.model_validate(layout.model_dump() | {"backend": backend}),
        versions={},
    )
    return Store.create(path, plan, listing)
