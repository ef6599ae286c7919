"""Several devices share the parts of a build, and what they make is what one would have made."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from kdcache.base.progress import Silent
from kdcache.build.options import BuildOptions
from kdcache.build.prepare import prepare
from kdcache.build.run import build
from kdcache.errors import KDError
from kdcache.store import Store
from tests.faults.killed_build import content


def built(out: Path, *devices: str) -> Path:
    options = BuildOptions(
        teacher="timm:test_vit",
        weights="random",
        data="shapes:count=64,size=32",
        signals=("embedding",),
        batch=8,
        part_rows=8,
        devices=devices,
        workers=0,
    )
    build(prepare(options, out), progress=Silent())
    return out


def test_two_devices_make_the_same_bytes_as_one(tmp_path: Path) -> None:
    one, two = built(tmp_path / "one", "cpu"), built(tmp_path / "two", "cpu", "cpu")
    assert content(one) == content(two)
    assert Store.open(two).missing() == []


def test_what_stops_one_device_is_told(tmp_path: Path) -> None:
    with pytest.raises(KDError, match="nonsense"):
        built(tmp_path / "c", "cpu", "nonsense")


LONG = """
    import sys
    from pathlib import Path
    from kdcache.build.run import build
    from kdcache.build.options import BuildOptions
    from kdcache.build.prepare import prepare
    from kdcache.base.progress import Silent
    options = BuildOptions(
        teacher="timm:test_vit", weights="random", data="shapes:count=20000,size=32", signals=("embedding",), batch=8,
        part_rows=8, devices=("cpu", "cpu"), workers=0,
    )
    build(prepare(options, Path(sys.argv[1])), progress=Silent())
"""


def children_of(parent: int) -> set[int]:
    """The builders a process has started (multiprocessing's helper that tracks resources is none)."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words, line = stat.read_text().rsplit(")", 1)[1].split(), (stat.parent / "cmdline").read_text()
        except OSError:
            continue
        if int(words[1]) == parent and "spawn_main" in line:
            found.add(int(stat.parent.name))
    return found


@pytest.mark.slow
def test_builders_end_with_the_parent_that_held_the_lock(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(LONG), str(tmp_path / "c")])
    try:
        deadline = time.monotonic() + 60
        while len(list((tmp_path / "c").rglob("*.h5"))) < 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        builders = children_of(parent.pid)
        assert len(builders) == 2
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    time.sleep(2)
    left = {
        pid
        for pid in builders
        if Path(f"/proc/{pid}").exists() and "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()
    }
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left
    before = list((tmp_path / "c").rglob("*.json"))
    time.sleep(0.5)
    assert list((tmp_path / "c").rglob("*.json")) == before
