"""Open files that a stranger may have put there.

Only plain files are opened, so that nothing waits for a pipe; `refuse_links` refuses symbolic links.
"""

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from kdcache.base.atomic import storage_errors
from kdcache.errors import Damage, KDError


def opened(path: Path, *, hint: str, error: type[KDError] = Damage) -> BinaryIO:
    """Open a file for reading; `error` when the path is something else, such as a pipe, on which a plain `open` would wait."""
    with storage_errors(path, "read"):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError as missing:
            raise error(f"cannot read {path}: {missing.strerror}", hint=hint, path=str(path)) from missing
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise error(f"{path} is not a file", hint=hint, path=str(path))
    return open(descriptor, "rb")


def read_small(path: Path, most_bytes: int, *, hint: str, error: type[KDError] = Damage) -> bytes:
    """Read a whole file; `error` when it has more than `most_bytes`."""
    with opened(path, hint=hint, error=error) as file, storage_errors(path, "read"):
        nbytes = os.fstat(file.fileno()).st_size
        if nbytes > most_bytes:
            what = f"{path} has {nbytes:,} bytes, at most {most_bytes:,} are read"
            raise error(what, hint=hint, path=str(path))
        return file.read(most_bytes)


def refuse_links(paths: Iterable[Path], *, hint: str, error: type[KDError] = Damage) -> None:
    """Raise `error` for the first path that is a symbolic link, because its target lies elsewhere."""
    for path in paths:
        if path.is_symlink():
            raise error(f"{path} is a link to {os.readlink(path)}", hint=hint, path=str(path))
