"""Helpers to time epochs, drop page caches and measure memory."""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from kdcache.bench.readers import Batches

_DROP = Path("/proc/sys/vm/drop_caches")
_PIECE = 4 << 20


def rate_of(epoch: Callable[[int], Batches], seed: int, *, least: float, most: float) -> float:
    """Rows per second over whole epochs, for at least `least` seconds; an epoch is cut off after `most` seconds."""
    rows, started = 0, time.perf_counter()
    while True:
        for size in epoch(seed):
            rows += size
            if time.perf_counter() - started > most:
                break
        seconds = time.perf_counter() - started
        if seconds >= least:
            return rows / seconds
        seed += 1000


def drop_caches(files: Iterable[Path], *, whole_machine: bool) -> str:
    """Drop files from the page cache; returns a description of how this was done."""
    for path in files:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
    if whole_machine and os.access(_DROP, os.W_OK):
        _DROP.write_text("1\n")
        return "posix_fadvise on every file, then drop_caches"
    return "posix_fadvise on every file"


def sequential_rate(files: Iterable[Path]) -> float:
    """Bytes per second when files are read sequentially, one after another, 4 MiB at a time into one buffer."""
    buffer = bytearray(_PIECE)
    total, started = 0, time.perf_counter()
    for path in files:
        with path.open("rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
            while count := file.readinto(buffer):
                total += count
    return total / (time.perf_counter() - started)


@dataclass(frozen=True)
class Memory:
    """Memory of the process, in bytes."""

    own: int
    """Anonymous and shared memory: buffers, heaps."""
    files: int
    """Mapped files in memory, which the kernel can free when it needs memory."""

    @classmethod
    def now(cls) -> "Memory":
        """The present memory of the process, as the kernel counts it."""
        lines = Path("/proc/self/status").read_text().splitlines()
        kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Rss")}
        return cls((kilobytes["RssAnon"] + kilobytes["RssShmem"]) << 10, kilobytes["RssFile"] << 10)


def memory_growth(epoch: Callable[[int], Batches], batches: int) -> Memory:
    """Growth of memory during an epoch: its peak minus the value after a fifth of the epoch."""
    settled, own, files = None, 0, 0
    every = max(1, batches // 50)
    for number, _ in enumerate(epoch(0)):
        if number % every:
            continue
        now = Memory.now()
        if settled is None and number >= batches // 5:
            settled = now
        if settled is not None:
            own, files = max(own, now.own - settled.own), max(files, now.files - settled.files)
    return Memory(own, files)
