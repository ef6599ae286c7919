"""Runs one arm in a process of its own.

Input: a Task. Output: what it measured, or None when there was not enough memory.
"""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from kdcache.atomic import make_folder
from kdcache.errors import KDError
from students.compare.measure import Measured, Task


def in_a_process(task: Task) -> Measured | None:
    """Train from the start in a fresh process. What it said is kept in a log when it fails."""
    out = Path(task.out)
    if out.exists():
        shutil.rmtree(out)  # of a comparison that was stopped while this ran
    command = [sys.executable, "-m", "students.compare.measure"]
    done = subprocess.run(command, input=json.dumps(task.plain()), capture_output=True, text=True)
    if done.returncode == -signal.SIGKILL:
        return None  # so a system ends a process that takes more memory than there is
    if done.returncode:
        said = done.stderr.strip().splitlines()
        log = out.with_suffix(".log")
        make_folder(log.parent)
        log.write_text(done.stderr, encoding="utf-8")
        raise KDError(
            f"{task.arm.name} failed: {said[-1] if said else f'exit code {done.returncode}'}",
            hint=f"all it said is in {log}; the same command goes on from here",
        )
    told = json.loads(done.stdout.splitlines()[-1])
    return None if told is None else Measured.from_plain(told)
