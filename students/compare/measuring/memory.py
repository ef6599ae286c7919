"""Peak memory of this process. Input: none. Output: bytes."""

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_UNIT = 1 if sys.platform == "darwin" else 1024


def peak_memory() -> int:
    """Peak resident memory of this process, in bytes.

    On Linux a child process inherits `ru_maxrss`: a small training would report the size of the large process that started it.
    /proc/self/status counts from the start of the program.
    """
    if _STATUS.is_file():
        line = next(line for line in _STATUS.read_text("ascii", "replace").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT
