"""Finds the run that LATEST stands for: the one started last, in ./kd/runs or, with --out, in another folder.

./kd/runs/elsewhere.txt has a line for every run that was started from this folder and is not in ./kd/runs.
"""

import os
from contextlib import suppress
from pathlib import Path

from kdcache.base.foreign import read_small
from kdcache.errors import UsageError

RUNS = Path("kd/runs")
ELSEWHERE = "elsewhere.txt"
MOST_BYTES = 1 << 20
"""Largest size of that file, in bytes."""


def remember_run(run: Path, root: Path = RUNS) -> None:
    """Record the path of a run outside `root`, so that LATEST finds it."""
    path = run.absolute()
    if path.parent == root.absolute():
        return
    line = f"{path}\n".encode(errors="surrogateescape")
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    with suppress(OSError):  # if this folder cannot be written to, training goes on, and LATEST will not find the run
        root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(root / ELSEWHERE, flags, 0o666)
        try:
            os.write(descriptor, line)  # in one call, so that lines of trainings that start together do not mix
        finally:
            os.close(descriptor)


def newest_run(root: Path = RUNS) -> Path:
    """The run that was started last. Raises UsageError if there is none."""
    records = run_records(root)
    if not records:
        hint = "kd train --student tinyvit-5m"
        raise UsageError(f"no run in ./{root}, and none was started from this folder with --out", hint=hint)
    return max(records, key=started).parent


def run_records(root: Path = RUNS, *, elsewhere: bool = True) -> list[Path]:
    """The run.json of every run in `root` and, with `elsewhere`, of those started from this folder but in another one."""
    noted = _elsewhere(root) if elsewhere else []
    return [path for path in (*root.glob("*/run.json"), *noted) if os.path.isfile(path)]


def started(record: Path) -> tuple[int, str]:
    """Sort key: time of a run's start, by its run.json, in nanoseconds since 1970; then its path, for ties."""
    try:
        return record.stat().st_mtime_ns, str(record)
    except OSError:  # removed since it was listed
        return 0, str(record)


def run_names(root: Path = RUNS) -> list[str]:
    """Names of runs for completion: their names in `root`, then the paths of all, newest first."""
    try:
        records = run_records(root)
    except UsageError:  # the list of runs elsewhere cannot be read
        records = run_records(root, elsewhere=False)
    paths = [record.parent for record in sorted(records, key=started, reverse=True)]
    names = [path.name for path in paths if path.parent == root]
    return [*names, *map(str, paths)]


def _elsewhere(root: Path) -> list[Path]:
    file = root / ELSEWHERE
    if not file.exists():
        return []
    hint = f"remove it: LATEST then only searches ./{root}"
    text = read_small(file, MOST_BYTES, hint=hint, error=UsageError).decode(errors="surrogateescape")
    return [Path(line) / "run.json" for line in dict.fromkeys(text.splitlines()) if line and "\0" not in line]
