"""Let only one process at a time work in a folder.

Input: the folder, and what is done there. Output: a context; Locked when another process holds the lock. The lock ends with
the process, however that dies; the lock file stays.
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
    """Hold the folder's lock during the block; Locked when another process holds it."""
    with storage_errors(folder), beneath.opened(folder, "lock", os.O_RDWR | os.O_CREAT) as found:
        descriptor = os.dup(found)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            hint = "wait for it, or stop it; then run this again"
            raise Locked(f"{folder} is being {doing} by another process", hint=hint) from None
        yield
    finally:
        os.close(descriptor)


def is_locked(folder: Path) -> bool:
    """Whether a process holds the folder's lock now. Nothing is written; without a lock file the answer is no."""
    with storage_errors(folder):
        try:
            with beneath.opened(folder, "lock") as descriptor:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
    return False
