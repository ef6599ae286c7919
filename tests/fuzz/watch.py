"""The other side of the zygote: hand it a case, get its outcome; it is started anew when it dies."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

from tests.fuzz.case import Case

ROOT = Path(__file__).parents[2]
FINE = {
    "ok", "UsageError", "Incomplete", "Damage", "Unavailable", "Mismatch", "Locked", "StorageError", "BadImage",
    "UnknownImage", "UnknownSignal",
}  # fmt: skip
"""outcomes that are as they should be"""
SETTINGS = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2", "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}


class Watch:
    """Runs cases."""

    def __init__(self, *, seconds: int = 10) -> None:
        self._seconds = seconds
        self._root = Path(tempfile.mkdtemp(prefix="kd-fuzz-"))
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._ended()
        shutil.rmtree(self._root, ignore_errors=True)

    def run(self, case: Case) -> dict[str, list[str]]:
        """Operation -> (outcome, details)."""
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(case.line + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            return {"harness": ["bug", f"the process that forks the children has ended with {self._ended()}"]}
        ends: dict[str, list[str]] = json.loads(line)["ends"]
        return ends

    def _started(self) -> "subprocess.Popen[str]":
        if self._process is None:
            path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.zygote", str(self._root / "cases")],
                cwd=ROOT,
                env={**os.environ, **SETTINGS, "KD_FUZZ_SECONDS": str(self._seconds), "PYTHONPATH": path},
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        return self._process

    def _ended(self) -> int:
        """Its exit status; its pipes are closed."""
        process, self._process = self._process, None
        assert process is not None
        process.communicate()
        return process.returncode


def wrong(ends: dict[str, list[str]]) -> list[str]:
    """What is neither a KDError nor sound, a line each."""
    return [f"{name}: {end}: {details}" for name, (end, details) in ends.items() if end not in FINE]


def command(case: Case) -> str:
    """What replays a case."""
    return f"python -m tests.fuzz {shlex.quote(case.line)}"
