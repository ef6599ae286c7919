"""A folder that one process at a time works in.

Input: the folder, and what is done there. Output: a context; Locked when another is at it. The lock goes with the process,
however it dies; the file stays.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kdcache.base import beneath
from kdcache.base.atomic import storage_errors
from kdcache.errors import Locked


@contextmanager
def locked_folder(folder: Path, doing: str) -> Iterator[None]:
    """Nobody else does it meanwhile."""
    with storage_errors(folder), beneath.opened(folder, "lock", os.O_RDWR | os.O_CREAT) as found:
        descriptor = os.dup(found)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            hint = "wait for it, or stop it; then go on"
            raise Locked(f"{folder} is being {doing} by another process", hint=hint) from None
        yield
    finally:
        os.close(descriptor)


def is_locked(folder: Path) -> bool:
    """Whether a process works in the folder at this moment. Nothing is written: without a lock file nobody ever did."""
    with storage_errors(folder):
        try:
            with beneath.opened(folder, "lock") as descriptor:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
    return False
