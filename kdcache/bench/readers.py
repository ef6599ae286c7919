"""Readers of a workload, ours and others. Each is a function from a seed to an iterator over the sizes of its batches.

Every reader returns whole batches as arrays of the stored type and shape, in a new random order for each seed. Other libraries
are used in the best way we know: with reused buffers, reads of whole blocks, several reads in flight. `full` readers draw every
row from the whole dataset; `blocks` readers mix the rows of POOL random blocks, which is less work but a weaker shuffle.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kdcache.bench.workloads import ZARR_CHUNK_BYTES, Written
from kdcache.cache import Cache

Batches = Iterator[int]
POOL = 16
OURS, OURS_ZARR, MEMMAP = "kd HDF5", "kd Zarr", "np.memmap, buffer used again"
"""Names of the readers that goals compare."""


@dataclass(frozen=True)
class Reader:
    """A way to read a workload."""

    name: str
    kind: Literal["ours", "peer"]
    shuffle: Literal["full", "blocks"]
    open: Callable[[], Callable[[int], Batches]]
    """Function that opens the files and returns a function that reads an epoch."""
    needs: str | None = None
    """Optional library that this reader needs; None if it needs none."""

    @property
    def missing(self) -> bool:
        """Whether the library it needs is not installed."""
        return self.needs is not None and find_spec(self.needs) is None


def warm_readers(written: Written) -> list[Reader]:
    """The readers that are compared with a warm page cache."""
    hdf5, zarr = written.ours["hdf5"], written.ours["zarr"]
    batch = written.workload.batch
    return [
        Reader(OURS, "ours", "full", partial(ours, hdf5, batch)),
        Reader(OURS_ZARR, "ours", "full", partial(ours, zarr, batch)),
        Reader("kd HDF5, 1 thread", "ours", "full", partial(ours, hdf5, batch, threads=1)),
        Reader("kd HDF5, checksums off", "ours", "full", partial(ours, hdf5, batch, check=False)),
        Reader("kd HDF5, first epoch", "ours", "full", partial(ours_first, hdf5, batch)),
        Reader(MEMMAP, "peer", "full", partial(memmap, written, fresh=False)),
        Reader("np.memmap, fresh copies", "peer", "full", partial(memmap, written, fresh=True)),
        Reader("np.memmap, first epoch", "peer", "full", partial(memmap_first, written)),
        Reader("h5py, a row at a time", "peer", "full", partial(h5py_rows, written)),
        Reader("h5py, blocks", "peer", "blocks", partial(h5py_blocks, written)),
        Reader("zarr, blocks", "peer", "blocks", partial(zarr_blocks, written)),
        Reader("tensorstore, blocks", "peer", "blocks", partial(tensorstore_blocks, written), "tensorstore"),
        Reader("tensorstore, any rows", "peer", "full", partial(tensorstore_rows, written), "tensorstore"),
    ]


def cold_readers(written: Written) -> list[Reader]:
    """The readers that are compared with an empty page cache: our shuffle by blocks."""
    batch = written.workload.batch
    paths = {OURS: written.ours["hdf5"], OURS_ZARR: written.ours["zarr"]}
    return [
        Reader(name, "ours", "blocks", partial(ours_first, path, batch, shuffle="blocks"))
        for name, path in paths.items()
    ]


def ours(path: Path, batch: int, **settings: Any) -> Callable[[int], Batches]:
    """Read epoch after epoch from one open cache."""
    cache = Cache.open(path)
    return lambda seed: map(len, cache.stream(batch, seed=seed, **settings))


def ours_first(path: Path, batch: int, **settings: Any) -> Callable[[int], Batches]:
    """Always read a first epoch, which includes opening, mapping and hashing every block."""
    return lambda seed: map(len, Cache.open(path).stream(batch, seed=seed, **settings))


def memmap(written: Written, *, fresh: bool) -> Callable[[int], Batches]:
    """Read from one memory map of all rows."""
    import h5py

    with h5py.File(written.hdf5) as file:
        rows = file["rows"]
        flat = np.memmap(written.hdf5, rows.dtype, "r", rows.id.get_offset(), rows.shape)
    size = written.workload.batch
    buffer = np.empty((size, *flat.shape[1:]), flat.dtype)

    def epoch(seed: int) -> Batches:
        order = np.random.default_rng(seed).permutation(len(flat))
        for start in range(0, len(order), size):
            some = order[start : start + size]
            yield len(flat[some] if fresh else np.take(flat, some, axis=0, out=buffer[: len(some)], mode="clip"))

    return epoch


def memmap_first(written: Written) -> Callable[[int], Batches]:
    """Read with a new map and a new buffer each time: the cost of a first epoch without checksums."""
    return lambda seed: memmap(written, fresh=False)(seed)


def h5py_rows(written: Written) -> Callable[[int], Batches]:
    """Read one row at a time into a reused buffer, like a PyTorch Dataset over h5py, but without collating."""
    import h5py

    rows = h5py.File(written.hdf5)["rows"]
    size = written.workload.batch
    buffer = np.empty((size, *rows.shape[1:]), rows.dtype)

    def epoch(seed: int) -> Batches:
        order = np.random.default_rng(seed).permutation(len(rows))
        for start in range(0, len(order), size):
            some = order[start : start + size].tolist()
            for place, row in enumerate(some):
                buffer[place] = rows[row]
            yield len(some)

    return epoch


def h5py_blocks(written: Written) -> Callable[[int], Batches]:
    """Read whole blocks directly into the pool."""
    import h5py

    rows = h5py.File(written.hdf5)["rows"]

    def read(spans: list[slice], pool: NDArray[Any]) -> int:
        end = 0
        for span in spans:
            count = span.stop - span.start
            rows.read_direct(pool, np.s_[span], np.s_[end : end + count])
            end += count
        return end

    return partial(_pooled, written, read)


def zarr_blocks(written: Written) -> Callable[[int], Batches]:
    """Read whole chunks and copy them into the pool."""
    import zarr

    rows = zarr.open_array(written.zarr, mode="r")

    def read(spans: list[slice], pool: NDArray[Any]) -> int:
        end = 0
        for span in spans:
            count = span.stop - span.start
            pool[end : end + count] = rows[span]
            end += count
        return end

    return partial(_pooled, written, read)


def tensorstore_blocks(written: Written) -> Callable[[int], Batches]:
    """Read whole chunks, all chunks of a pool in flight at once."""
    rows = _open_tensorstore(written, 0)

    def read(spans: list[slice], pool: NDArray[Any]) -> int:
        end = 0
        coming = [(span.stop - span.start, rows[span].read()) for span in spans]
        for count, future in coming:
            pool[end : end + count] = future.result()
            end += count
        return end

    return partial(_pooled, written, read)


def tensorstore_rows(written: Written) -> Callable[[int], Batches]:
    """Read any rows of a batch at once, with tensorstore's own cache of decoded chunks."""
    rows, size = _open_tensorstore(written, 8 << 30), written.workload.batch

    def epoch(seed: int) -> Batches:
        order = np.random.default_rng(seed).permutation(rows.shape[0])
        for start in range(0, len(order), size):
            yield len(rows[order[start : start + size]].read().result())

    return epoch


def _open_tensorstore(written: Written, cache_bytes: int) -> Any:
    import tensorstore

    context = tensorstore.Context({"cache_pool": {"total_bytes_limit": cache_bytes}})
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(written.zarr)}}
    return tensorstore.open(spec, context=context, read=True).result()


def _pooled(written: Written, read: Callable[[list[slice], NDArray[Any]], int], seed: int) -> Batches:
    """Read random blocks into a pool, and draw random rows from it."""
    field, count, size = written.workload.field, written.workload.rows, written.workload.batch
    step = max(1, ZARR_CHUNK_BYTES // field.row_bytes)
    random = np.random.default_rng(seed)
    order = random.permutation(-(-count // step)).tolist()
    together = max(POOL, -(-2 * size // step))
    pool = np.empty((together * step, *field.shape), field.dtype)
    batch = np.empty((size, *field.shape), field.dtype)
    for start in range(0, len(order), together):
        spans = [slice(b * step, min((b + 1) * step, count)) for b in order[start : start + together]]
        rows = random.permutation(read(spans, pool))
        for first in range(0, len(rows), size):
            some = rows[first : first + size]
            yield len(np.take(pool, some, axis=0, out=batch[: len(some)], mode="clip"))
