"""A full or read-only disk: one clear error, nothing lost, and the build goes on once there is room."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from kdcache.store import Store
from kdcache.store.plan import PartId
from tests.store.making import make_listing, make_plan, payload_of

ROWS, WIDTH = 512, 1024
BUILD = """
    import sys
    from pathlib import Path
    from kdcache.errors import StorageError
    from kdcache.store import Store
    from tests.faults.test_disk import big_plan
    from tests.store.making import make_listing, payload_of
    plan = big_plan(sys.argv[2])
    try:
        store = Store.create(Path(sys.argv[1]), plan, make_listing(plan.dataset.rows))
        with store.building():
            for part in store.missing():
                store.write_part(part, payload_of(plan, part), {})
    except StorageError as error:
        print(error.message, "|", error.hint)
        sys.exit(error.exit_code)
"""


def big_plan(backend: str):
    """Eight parts of 256 KiB."""
    from kdcache.signals.signal import Signal

    signal = Signal(name="embedding", shape=(WIDTH,))
    size = {"rows": ROWS, "batch": 64, "views": 1, "max_rows": 64, "target_bytes": 1 << 20}
    return make_plan(backend=backend, signals=((signal, "float32"),), **size)


def build(path: Path, backend: str) -> subprocess.CompletedProcess[str]:
    args = [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(BUILD), str(path), backend]
    return subprocess.run(args, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("backend", ["hdf5", "zarr"])
def test_a_full_disk_costs_the_part_in_hand_and_no_more(small_disk, backend):
    folder, mount = small_disk
    run = build(folder / "cache", backend)
    assert run.returncode == 8, (run.returncode, run.stderr)
    assert "No space left on device" in run.stdout
    assert str(folder / "cache") in run.stdout
    assert "free some space" in run.stdout
    store = Store.open(folder / "cache")
    built = [part for part in store.plan.parts() if part not in store.missing()]
    assert 2 <= len(built) <= 4
    for part in built:
        assert store.verify_part(part) == []
        assert (store.map_part(part)["embedding"].whole() == payload_of(store.plan, part)["embedding"]).all()
    assert not [p for p in folder.rglob("*") if ".tmp-" in p.name]
    del store
    mount("remount,size=8m")
    run = build(folder / "cache", backend)
    assert run.returncode == 0, run.stderr
    assert Store.open(folder / "cache").missing() == []


@pytest.mark.parametrize("backend", ["hdf5", "zarr"])
def test_a_rewritten_part_survives_a_full_disk(small_disk, backend):
    folder, mount = small_disk
    mount("remount,size=8m")
    assert build(folder / "cache", backend).returncode == 0
    taken = sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
    mount(f"remount,size={taken // 1024 + 120}k")
    script = """
        import sys
        from pathlib import Path
        from kdcache.errors import StorageError
        from kdcache.store import Store
        from kdcache.store.plan import PartId
        from tests.store.making import payload_of
        store = Store.open(Path(sys.argv[1]))
        try:
            store.write_part(PartId(0, 0), payload_of(store.plan, PartId(0, 1)), {})
        except StorageError as error:
            sys.exit(error.exit_code)
    """
    args = [sys.executable, "-c", textwrap.dedent(script), str(folder / "cache")]
    assert subprocess.run(args, timeout=60, check=False).returncode == 8
    store = Store.open(folder / "cache")
    assert store.missing() == []
    expected = payload_of(store.plan, PartId(0, 0))["embedding"]
    assert (store.map_part(PartId(0, 0))["embedding"].whole() == expected).all()


@pytest.mark.parametrize("backend", ["hdf5", "zarr"])
def test_a_read_only_disk_can_be_read_and_says_so_when_written(small_disk, backend):
    folder, mount = small_disk
    mount("remount,size=8m")
    assert build(folder / "cache", backend).returncode == 0
    mount("remount,ro")
    store = Store.open(folder / "cache")
    for part in store.plan.parts():
        assert store.verify_part(part) == []
        assert (store.map_part(part)["embedding"].whole() == payload_of(store.plan, part)["embedding"]).all()
    assert list(store.index.ids) == make_listing(ROWS).ids.to_pylist()
    run = build(folder / "cache", backend)
    assert run.returncode == 8
    assert "Read-only file system" in run.stdout
    mount("remount,rw")
    del store


def test_no_room_even_for_the_plan(small_disk):
    folder, mount = small_disk
    mount("remount,size=8k")
    run = build(folder / "cache", "hdf5")
    assert run.returncode == 8, run.stderr
    mount("remount,size=8m")
    assert build(folder / "cache", "hdf5").returncode == 0
