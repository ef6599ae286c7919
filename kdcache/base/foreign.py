"""Files that a stranger may have put there.

They are opened only when they are files, so that nothing waits for a pipe, and links can be refused that lead elsewhere.
"""

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from kdcache.base.atomic import storage_errors
from kdcache.errors import Damage, KDError


def opened(path: Path, *, hint: str, error: type[KDError] = Damage) -> BinaryIO:
    """A file to read; `error` where the path leads to something else, such as a pipe, at which a plain `open` would wait."""
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
    """A whole file of a size that is expected."""
    with opened(path, hint=hint, error=error) as file, storage_errors(path, "read"):
        nbytes = os.fstat(file.fileno()).st_size
        if nbytes > most_bytes:
            what = f"{path} has {nbytes:,} bytes, at most {most_bytes:,} are read"
            raise error(what, hint=hint, path=str(path))
        return file.read(most_bytes)


def refuse_links(paths: Iterable[Path], *, hint: str, error: type[KDError] = Damage) -> None:
    """`error` for the first that is a symbolic link: what is read or written through it would lie elsewhere."""
    for path in paths:
        if path.is_symlink():
            raise error(f"{path} is a link to {os.readlink(path)}", hint=hint, path=str(path))
