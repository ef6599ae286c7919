"""Runs cases, each in a child forked from a process with everything imported: `python -m tests.fuzz.zygote DIR`.

A case comes in as a line, its outcome goes out as one. A child may use ten seconds of a processor and a gigabyte of memory more
than it started with, and may touch nothing but the cache and what is made from it; it is watched from here.
"""

import hashlib
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

SECONDS = int(os.environ.get("KD_FUZZ_SECONDS", "10"))
"""of a processor, and by the clock for a child that does nothing: what waits for what never comes is a hang too"""
MEMORY = 1 << 30
SPACE = 3 << 30
"""of addresses, over what is mapped at the fork: files are mapped whole, and threads have stacks"""


def main(root: Path) -> None:
    from tests.fuzz.case import Case

    _import_all()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(outcome(Case.read(line), root)) + "\n")
        sys.stdout.flush()


def _import_all() -> None:
    """What the operations need, so that a child begins at once. No thread may be started here: a child would not have it."""
    import h5py, hdf5plugin, numcodecs.blosc, pandas, pyarrow.compute, pyarrow.ipc, torch, zarr  # noqa: E401, F401, I001

    import cli.app, cli.progress, kdcache.bench, kdcache.exchange  # noqa: E401, F401
    import kdcache.check.repair, kdcache.check.verify, kdcache.reshape.convert  # noqa: E401, F401
    import students.report, students.runs.run, students.export.onnx, students.as_teacher, timm  # noqa: E401, F401
    from tests.fuzz import caches, drive
    from tests.fuzz import all as _all  # noqa: F401
    from tests.golden import network  # noqa: F401

    torch.set_num_threads(1)
    os.fsync = lambda fd: None  # nobody pulls the plug here, and flushing is most of the time
    for name in caches.CACHES:
        drive.reference(f"caches/{name}")


def outcome(case: Any, root: Path) -> dict[str, Any]:
    """What came of a case: operation -> (outcome, details), and what went wrong in the child as a whole."""
    box = root / "box"
    shutil.rmtree(root, ignore_errors=True)
    _lay_out(box, case.golden)
    ends: dict[str, list[str]] = {}
    current, before, memory = "change", None, 0
    pid, reader, ready = _forked(case, box)
    for line in _lines(reader, pid):
        match json.loads(line):
            case ["begin", name]:
                current = name
            case ["changed", memory]:
                before = snapshot(root, box)
                os.write(ready, b"!")
            case [name, end, details]:
                ends[name] = [end, details]
    os.close(ready)
    if wrong := _wrong(pid, memory):
        ends[f"{current}!"] = wrong
    elif before is None:
        ends["change!"] = ["bug", "the case could not be laid out"]
    elif differ := sorted({name for name, _ in before.items() ^ snapshot(root, box).items()}):
        ends["all!"] = ["outside", f"created, changed or removed: {differ}"]
    _open_up(root)
    return {"ends": ends}


def _forked(case: Any, box: Path) -> tuple[int, int, int]:
    """A child that does what the case says: its number, where it tells, and where it is told to go on."""
    reader, writer = os.pipe()
    go, ready = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        os.close(ready)
        _child(case, box, writer, go)
    os.close(writer)
    os.close(go)
    return pid, reader, ready


def _wrong(pid: int, memory: int) -> list[str] | None:
    """How a child ended that had so much memory before it began, where it should not have ended so."""
    _, status, spent = os.wait4(pid, 0)
    if os.WIFSIGNALED(status):
        number, used = os.WTERMSIG(status), spent.ru_utime + spent.ru_stime
        kind = "hang" if number in (signal.SIGKILL, signal.SIGXCPU) else "signal"
        return [kind, f"{signal.Signals(number).name} after {used:.1f} s of a processor"]
    if spent.ru_maxrss * 1024 > memory + MEMORY:
        return ["memory", f"{spent.ru_maxrss * 1024 - memory >> 20} MB more than before"]
    return None


def _lay_out(box: Path, golden: str) -> None:
    """The cache to be changed, and beside and above it what must stay as it is."""
    from tests.fuzz.caches import GOLDEN

    folder = box / "in" / ("cache" if golden.startswith("caches") else golden)
    shutil.copytree(GOLDEN / golden, folder)
    for place in (box, box / "in", box.parent):
        victim = place / "victim"
        victim.mkdir()
        for name in ("canary", "c.0", "c.0.0", "c.0.0.0", "zarr.json", "000000.h5"):
            (victim / name).write_text("precious")
    (box / "outside.bin").write_bytes(b"precious" * 4096)
    (box / "in/outside.bin").write_bytes(b"precious" * 4096)
    os.chdir(box)


def snapshot(root: Path, box: Path) -> dict[str, str]:
    """Every file outside of the cache and of what is made from it, as it is."""
    files_now = {}
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        if here == box:
            folders[:], files[:] = (
                [name for name in names if not name.startswith("out-")] for names in (folders, files)
            )
        if here == box / "in":
            folders[:] = [name for name in folders if name == "victim"]
        for path in (here / name for name in (*folders, *files)):
            regular = path.is_file() and not path.is_symlink()
            files_now[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest() if regular else "no file"
    return files_now


def _child(case: Any, box: Path, writer: int, go: int) -> NoReturn:
    """Never returns: there must not be two of the process that forks."""
    from tests.fuzz.all import OPERATIONS, TARGETS

    def tell(*what: str | int) -> None:
        os.write(writer, json.dumps(what).encode() + b"\n")

    try:
        _settle(box)
        drive = OPERATIONS[case.target](box, case, TARGETS[case.target](case, box))
        tell("changed", _resident())
        os.read(go, 1)
        _limit()
        for name, end, details in drive(lambda name: tell("begin", name)):
            tell(name, end, details)
    except BaseException as error:  # noqa: BLE001
        tell("harness", "bug", f"{type(error).__name__}: {error!s:.300} {traceback.format_exc()[-1500:]}")
    finally:
        os._exit(0)


def _settle(box: Path) -> None:
    """Hear nothing, show nothing, keep what is temporary in the box."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2) if "KD_FUZZ_STDERR" not in os.environ else (0, 1):
        os.dup2(nothing, descriptor)
    tempfile.tempdir = str(box / "out-temporary")
    os.mkdir(tempfile.tempdir)


def _limit() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    space = pages * resource.getpagesize() + SPACE
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS + _seconds(), SECONDS + _seconds() + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))


def _seconds() -> int:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return round(used.ru_utime + used.ru_stime)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _lines(reader: int, pid: int) -> Iterator[str]:
    """What the child tells, until it ends; killed once it has been silent for too long and does not work either.

    On a busy machine ten seconds of a processor take longer by the clock, so a child at work is left to its limit.
    """
    worked, rest = 0.0, b""
    with open(reader, "rb", buffering=0) as pipe:
        while True:
            if not select.select([pipe], [], [], SECONDS)[0]:
                if (now := _worked(pid)) < worked + SECONDS / 20:
                    os.kill(pid, signal.SIGKILL)
                worked = now
                continue
            piece = pipe.read(1 << 16)
            if not piece:
                return
            *lines, rest = (rest + piece).split(b"\n")
            yield from (line.decode() for line in lines)


def _worked(pid: int) -> float:
    """Seconds of a processor that a child has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _open_up(root: Path) -> None:
    """Files without permissions can be removed all the same; folders need theirs back."""
    for path in root.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
