"""Runs one arm in a process of its own.

Input: an ArmTask. Output: what it measured, or None when there was not enough memory.
"""

import shutil
import signal
from functools import partial
from pathlib import Path

from kdcache.base.atomic import make_folder
from kdcache.base.folder_lock import locked_folder
from kdcache.base.own_process import Ended, run_module
from kdcache.base.progress import Progress
from kdcache.errors import KDError
from students.compare.measuring.bars import show
from students.compare.measuring.measure import ArmTask, Measured

_GO_ON = "the same command goes on from here"


def in_a_process(task: ArmTask, progress: Progress, name: str) -> Measured | None:
    """Train from the start in a fresh process; `name` is what its bar is called. What it said is kept in a log when it fails."""
    progress.doing(f"starting {name}")
    out = Path(task.out)
    if out.exists():  # of a comparison that was stopped while this ran
        with locked_folder(out, "trained"):  # its process may not have ended yet
            shutil.rmtree(out)
    try:
        told = run_module(
            "students.compare.measuring.measure", task.plain(), partial(show, arm=name, progress=progress)
        )
    except Ended as end:
        if end.code == -signal.SIGKILL:
            return None  # so a system ends a process that takes more memory than there is
        said = end.told.strip().splitlines()
        log = out.with_suffix(".log")
        make_folder(log.parent)
        log.write_text(end.told, encoding="utf-8")
        raise KDError(
            f"{task.arm.name} failed: {said[-1] if said else end}", hint=f"its output is in {log}; {_GO_ON}"
        ) from None
    except KDError as error:
        error.message = f"{task.arm.name}: {error.message}"
        error.hint = f"{error.hint}; {_GO_ON}" if error.hint else _GO_ON
        raise
    return None if told is None else Measured.from_plain(told)
