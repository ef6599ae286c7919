"""The benchmark of reading: everybody reads the same rows, and the figures are about what they say."""

import json
from io import StringIO
from mmap import mmap
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from kdcache import Cache
from kdcache.bench import bench_read, render
from kdcache.bench import read as bench
from kdcache.bench.measure import Memory, drop_caches, memory_growth, rate_of, sequential_rate
from kdcache.bench.readers import cold_readers, warm_readers
from kdcache.bench.workloads import WORKLOADS, Workload, Written, write
from kdcache.errors import StorageError, UsageError
from kdcache.signals.signal import Signal

TINY = {
    "W1": Workload("W1", "top-3 logits", 300, Signal(name="logits", shape=(50,)), "topk:3", 16, cold_times=2),
    "W2": Workload("W2", "4 x 8 features", 90, Signal(name="features", shape=(4, 8)), "float16", 8),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Written:
    return write(TINY["W2"], tmp_path_factory.mktemp("bench"))


def test_all_copies_hold_the_same_rows(written: Written) -> None:
    import h5py
    import zarr

    with h5py.File(written.hdf5) as file:
        rows = file["rows"][:]
    assert rows.shape == (90, 4, 8)
    assert len(np.unique(rows.view(np.uint16))) > 1000
    assert rows.tobytes() == zarr.open_array(written.zarr, mode="r")[:].tobytes()
    for path in written.ours.values():
        ours = np.concatenate([b.fields["features"].copy() for b in Cache.open(path).stream(8, shuffle=False)])
        assert ours.tobytes() == rows.tobytes()


def test_every_reader_hands_out_every_row_in_whole_batches(written: Written) -> None:
    readers = [r for r in (*warm_readers(written), *cold_readers(written)) if not r.missing]
    assert len(readers) >= 13
    for reader in readers:
        epoch = reader.open()
        for seed in (0, 1):
            sizes = list(epoch(seed))
            assert sum(sizes) == 90, reader.name
            assert max(sizes) == 8, reader.name
            assert reader.shuffle == "blocks" or sizes == [8] * 11 + [2], reader.name


def test_the_table_of_a_small_run(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(bench, "WORKLOADS", TINY)
    monkeypatch.setattr(bench, "LEAST_SECONDS", 0.0)
    result = bench_read(folder=tmp_path, repeats=2, workloads=["W1", "W2"])
    assert json.loads(json.dumps(result)) == result
    assert list(tmp_path.iterdir()) == [], "what was written is removed"
    first = result["workloads"][0]
    assert (first["name"], first["rows"], first["row_bytes"]) == ("W1", 300, 18)
    assert first["cold"]["rows"] == 600
    for rate in first["warm"]:
        if rate["rows_per_second"] is not None:
            assert rate["lowest"] <= rate["rows_per_second"] <= rate["highest"]
            assert rate["gb_per_second"] == pytest.approx(rate["rows_per_second"] * 18 / 1e9)
    goals = {(goal["workload"], goal["what"]) for goal in result["goals"]}
    assert ("W2", "HDF5, of np.memmap, buffer used again") in goals
    assert all(goal["met"] == (goal["measured"] >= goal["limit"]) for goal in result["goals"] if not goal["at_most"])
    console = Console(width=160, record=True, file=StringIO())
    console.print(render(result))
    text = console.export_text()
    assert "W1: 300 x top-3 logits, 18 B a row, warm" in text
    assert "posix_fadvise on every file" in text


def test_what_is_not_installed_is_said(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(bench, "WORKLOADS", TINY)
    monkeypatch.setattr("kdcache.bench.readers.find_spec", lambda name: None)
    result = bench_read(folder=tmp_path, repeats=1, workloads=["W1"], cold=False)
    rates = {rate["reader"]: rate["rows_per_second"] for rate in result["workloads"][0]["warm"]}
    assert rates["tensorstore, blocks"] is None
    assert not any("tensorstore" in goal["what"] for goal in result["goals"])
    console = Console(width=160, record=True, file=StringIO())
    console.print(render(result))
    assert "not installed" in console.export_text()


def test_wrong_requests_are_refused(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(UsageError, match="no workload 'W9'"):
        bench_read(workloads=["W9"])
    with pytest.raises(StorageError, match="GB free, the benchmark needs"):
        bench_read(folder=tmp_path, scale=1e6)


def test_goals_are_not_judged_on_less_data(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(bench, "WORKLOADS", TINY)
    monkeypatch.setattr(bench, "LEAST_SECONDS", 0.0)
    result = bench_read(folder=tmp_path, repeats=1, workloads=["W1"], cold=False, scale=0.5)
    assert result["goals"]
    assert {goal["met"] for goal in result["goals"]} == {None}
    console = Console(width=160, record=True, file=StringIO())
    console.print(render(result))
    assert "not judged" in console.export_text()


def test_the_workloads_are_those_of_the_goals() -> None:
    sizes = {name: (w.rows, w.field.row_bytes, w.batch) for name, w in WORKLOADS.items()}
    assert sizes == {"W1": (200_000, 406, 256), "W2": (400, 2_457_600, 16), "W3": (4_000, 302_592, 64)}


def test_a_rate_counts_whole_epochs_and_stops_in_time() -> None:
    seeds = []

    def epoch(seed: int):
        seeds.append(seed)
        yield from [10] * 5

    assert rate_of(epoch, 3, least=0.0, most=9.0) > 0
    assert seeds == [3]
    rate_of(epoch, 0, least=0.01, most=9.0)
    assert len(set(seeds)) == len(seeds), "each epoch has its own order"

    def endless(seed: int):
        while True:
            yield 1

    assert rate_of(endless, 0, least=0.0, most=0.02) > 0


def test_memory_growth_is_seen() -> None:
    kept = []

    def leaking(seed: int):
        for _ in range(100):
            kept.append(mmap(-1, 1 << 20))  # fresh from the kernel: a heap may have room left by tests before
            kept[-1].write(b"1" * (1 << 20))
            yield 1

    def flat(seed: int):
        yield from [1] * 100

    assert memory_growth(leaking, 100).own > 60 << 20
    assert memory_growth(flat, 100).own < 4 << 20
    assert Memory.now().own > 10 << 20


def test_files_are_dropped_and_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(1 << 20))
    assert drop_caches([path], whole_machine=False) == "posix_fadvise on every file"
    assert sequential_rate([path]) > 0
