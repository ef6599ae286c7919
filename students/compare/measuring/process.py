"""Runs one arm in its own process.

Input: an ArmTask. Output: its measurements, or None if memory was not enough.
"""

import shutil
import signal
from pathlib import Path

from kdcache.base.atomic import make_folder
from kdcache.base.folder_lock import locked_folder
from kdcache.base.own_process import Ended, run_module
from kdcache.base.progress import Progress
from kdcache.errors import KDError
from students.compare.measuring.bars import ArmBar
from students.compare.measuring.measure import ArmTask, Measured

_GO_ON = "run the same command again to resume"


def in_a_process(task: ArmTask, progress: Progress, name: str, left: str = "") -> Measured | None:
    """Train from the start in a fresh process. When it fails, its output is kept in a log.

    `name` and `left` are shown with its progress bar: what is measured, and how long the rest of the comparison will take.
    """
    progress.doing(f"starting {name}")
    out = Path(task.out)
    if out.exists():  # left by a comparison that was interrupted during this training
        with locked_folder(out, "trained"):  # its process may not have ended yet
            shutil.rmtree(out)
    try:
        bar = ArmBar(name, task.steps, left, progress)
        answer = run_module("students.compare.measuring.measure", task.plain(), bar.show)
    except Ended as end:
        if end.code == -signal.SIGKILL:
            return None  # Linux kills a process that needs more memory than there is
        printed = end.stderr.strip().splitlines()
        log = out.with_suffix(".log")
        make_folder(log.parent)
        log.write_text(end.stderr, encoding="utf-8")
        raise KDError(
            f"{task.arm.name} failed: {printed[-1] if printed else end}", hint=f"its output is in {log}; {_GO_ON}"
        ) from None
    except KDError as error:
        error.message = f"{task.arm.name}: {error.message}"
        error.hint = f"{error.hint}; {_GO_ON}" if error.hint else _GO_ON
        raise
    return None if answer is None else Measured.from_plain(answer)
