"""`kd bench read`: compare our readers and others on this machine. Output: plain data for JSON and for the table.

In each repeat, all readers of a workload run once, so that other load on the machine affects all of them; results are medians.
Ratios are comparable between machines, rates are not.
"""

import gc
import os
import platform
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from kdcache.base.progress import Progress, Silent
from kdcache.bench.measure import drop_caches, memory_growth, rate_of, sequential_rate
from kdcache.bench.readers import MEMMAP, OURS, OURS_ZARR, Reader, cold_readers, warm_readers
from kdcache.bench.workloads import WORKLOADS, Workload, Written, write
from kdcache.errors import StorageError, UsageError

LEAST_SECONDS, MOST_SECONDS = 0.2, 2.0
"""An epoch shorter than LEAST_SECONDS is repeated; one longer than MOST_SECONDS is cut off, because some readers (h5py, one
row at a time) would take minutes."""
COLD_SECONDS = 120.0
GOALS = {"tensorstore": 2.0, "memmap": 0.9, "zarr": 0.75, "disk": 0.8, "memory": 8.0}


@dataclass(frozen=True)
class Rate:
    """The measured rate of one reader."""

    reader: str
    kind: str
    shuffle: str
    rows_per_second: float | None
    """Median over the repeats; None if the library of this reader is not installed."""
    gb_per_second: float | None
    lowest: float | None
    highest: float | None


@dataclass(frozen=True)
class Goal:
    """A promised value and the measured one."""

    workload: str
    what: str
    limit: float
    measured: float
    at_most: bool = False
    """Whether the goal is an upper limit; otherwise it is a lower limit."""

    @property
    def met(self) -> bool:
        """Whether this run meets the goal."""
        return self.measured <= self.limit if self.at_most else self.measured >= self.limit


def bench_read(
    *,
    folder: Path | None = None,
    scale: float = 1.0,
    repeats: int = 5,
    workloads: Sequence[str] = tuple(WORKLOADS),
    cold: bool = True,
    whole_machine: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure reading. Data is written below `folder` and removed again; `scale` makes it smaller or larger.

    `whole_machine`: before cold reads, drop the page cache of the whole machine, not only that of the files.
    """
    unknown = [name for name in workloads if name not in WORKLOADS]
    if unknown:
        raise UsageError(f"no workload {unknown[0]!r}", hint=f"there are {', '.join(WORKLOADS)}")
    progress = progress or Silent()
    chosen = [WORKLOADS[name].scaled(scale) for name in workloads]
    with tempfile.TemporaryDirectory(prefix="kd-bench-", dir=folder) as place:
        _check_room(chosen, Path(place))
        results = [_measure(w, Path(place) / w.name, repeats, cold, whole_machine, progress) for w in chosen]
    goals = [goal for result in results for goal in _goals(result)]
    return {
        "machine": _machine(),
        "scale": scale,
        "repeats": repeats,
        "workloads": results,
        # With less data, most of it fits into the CPU's caches, which would be measured instead; then no goal is judged.
        "goals": [asdict(goal) | {"met": goal.met if scale >= 1 else None} for goal in goals],
    }


def _measure(
    workload: Workload, folder: Path, repeats: int, cold: bool, whole_machine: bool, progress: Progress
) -> dict[str, Any]:
    progress.start(f"{workload.name}: writing", 1)
    result: dict[str, Any] = {
        "name": workload.name,
        "about": workload.about,
        "rows": workload.rows,
        "row_bytes": workload.field.row_bytes,
        "batch": workload.batch,
    }
    if cold:
        many = workload.scaled(workload.cold_times)
        result["cold"] = _cold(write(many, folder / "cold", peers=False), repeats, whole_machine, progress)
        shutil.rmtree(folder / "cold")
    written = write(workload, folder / "warm")
    result["warm"] = [asdict(rate) for rate in _warm(written, repeats, progress)]
    ours = next(reader for reader in warm_readers(written) if reader.name == OURS).open()
    for _ in ours(0):  # reads everything once, so that growth by first reads is not measured
        pass
    result["memory_growth"] = asdict(memory_growth(ours, -(-workload.rows // workload.batch)))
    progress.finish()
    shutil.rmtree(folder)
    return result


def _warm(written: Written, repeats: int, progress: Progress) -> list[Rate]:
    readers = warm_readers(written)
    epochs = {reader.name: reader.open() for reader in readers if not reader.missing}
    rates: dict[str, list[float]] = {name: [] for name in epochs}
    progress.start(f"{written.workload.name}: warm", (repeats + 1) * len(epochs))
    for repeat in range(repeats + 1):
        for name, epoch in epochs.items():
            rate = rate_of(epoch, repeat, least=LEAST_SECONDS, most=MOST_SECONDS)
            if repeat:  # the first round loads everything into memory and is not counted
                rates[name].append(rate)
            progress.advance(1)
    return [_rate(reader, rates.get(reader.name), written.workload) for reader in readers]


def _cold(written: Written, repeats: int, whole_machine: bool, progress: Progress) -> dict[str, Any]:
    readers, workload = cold_readers(written), written.workload
    rates: dict[str, list[float]] = {reader.name: [] for reader in readers}
    disk: list[float] = []
    progress.start(f"{workload.name}: cold", repeats * (len(readers) + 1))
    dropped = ""
    for repeat in range(repeats):
        for backend, reader in zip(written.ours, readers, strict=True):
            files = written.files(written.ours[backend])
            dropped = drop_caches(files, whole_machine=whole_machine)
            if backend == "hdf5":
                disk.append(sequential_rate(files) / 1e9)
                dropped = drop_caches(files, whole_machine=whole_machine)
            rates[reader.name].append(rate_of(reader.open(), repeat, least=0.0, most=COLD_SECONDS))
            gc.collect()  # files that are still mapped cannot be dropped
            progress.advance(1)
    return {
        "rows": workload.rows,
        "dropped_by": dropped,
        "disk_gb_per_second": median(disk),
        "readers": [asdict(_rate(reader, rates[reader.name], workload)) for reader in readers],
    }


def _rate(reader: Reader, measured: list[float] | None, workload: Workload) -> Rate:
    if measured is None:
        return Rate(reader.name, reader.kind, reader.shuffle, None, None, None, None)
    middle = median(measured)
    gigabytes = middle * workload.field.row_bytes / 1e9
    return Rate(reader.name, reader.kind, reader.shuffle, middle, gigabytes, min(measured), max(measured))


def _goals(result: dict[str, Any]) -> list[Goal]:
    """The goals that this run can judge."""
    name = result["name"]
    rates = {rate["reader"]: rate["rows_per_second"] for rate in result["warm"]}
    goals = [Goal(name, "Zarr, of HDF5", GOALS["zarr"], rates[OURS_ZARR] / rates[OURS])]
    if name == "W1":
        peers = [rate for reader, rate in rates.items() if reader.startswith("tensorstore") and rate]
        if peers:
            goals.append(Goal(name, "HDF5, of tensorstore's best", GOALS["tensorstore"], rates[OURS] / max(peers)))
    else:
        goals.append(Goal(name, f"HDF5, of {MEMMAP}", GOALS["memmap"], rates[OURS] / rates[MEMMAP]))
    if "cold" in result:
        ours = result["cold"]["readers"][0]["gb_per_second"]
        share = ours / result["cold"]["disk_gb_per_second"]
        goals.append(Goal(name, "cold, by blocks, of the disk's sequential rate", GOALS["disk"], share))
    grown = result["memory_growth"]["own"] / (1 << 20)
    goals.append(Goal(name, "MB that memory grows by in an epoch", GOALS["memory"], grown, at_most=True))
    return goals


def _check_room(chosen: Sequence[Workload], place: Path) -> None:
    needed = max(max(4, 2 * w.cold_times) * w.bytes for w in chosen)
    free = shutil.disk_usage(place).free
    if free < needed * 1.2:
        message = f"{place.parent} has {free / 1e9:.1f} GB free, the benchmark needs {needed * 1.2 / 1e9:.1f} GB"
        raise StorageError(message, hint="choose another folder, or a smaller --scale")


def _machine() -> dict[str, Any]:
    cpu = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "")
    memory = next((int(line.split()[1]) << 10 for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "cpu": cpu or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": memory,
        "load": round(os.getloadavg()[0], 2),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("numpy", "h5py", "zarr")},
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
