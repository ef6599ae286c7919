"""Who may build: one process alone, or several with a share each. Readers need no lock.

Locks are flock on files in `<cache>/locks`, so they go with the process that holds them, however it dies. The files stay; each
tells who holds it. Who wants one, or writes what is there once for all parts, first waits for its turn: so two that start at the
same moment see one another.
"""

import fcntl
import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import gcd
from pathlib import Path

from kdcache.atomic import make_folder, storage_errors
from kdcache.errors import Locked
from kdcache.plain_json import parse_json

FOLDER = "locks"
_held: set[int] = set()


def _leave_to_parent() -> None:
    """A forked worker must not keep the lock of a builder that was killed."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_leave_to_parent)


@contextmanager
def build_lock(cache: Path, share: tuple[int, int] | None = None) -> Iterator[None]:
    """Hold the right to build: all of it, or share (i, n) beside the holders of other shares."""
    folder = cache / FOLDER
    whole = folder / "build.lock"
    with ExitStack() as held:
        with turn(cache):
            if share is None:
                held.enter_context(_flock(whole, fcntl.LOCK_EX, cache))
            else:
                held.enter_context(_flock(whole, fcntl.LOCK_SH, cache))
                _refuse_overlap(folder, share, cache)
                held.enter_context(_flock(folder / f"share-{share[0]}-of-{share[1]}.lock", fcntl.LOCK_EX, cache))
        yield


@contextmanager
def turn(cache: Path) -> Iterator[None]:
    """Wait for the others at the door, each of whom needs it for a moment only."""
    path = cache / FOLDER / "turn.lock"
    make_folder(path.parent)
    with _opened(path) as descriptor:
        with storage_errors(path, "lock"):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


@contextmanager
def _flock(path: Path, kind: int, cache: Path) -> Iterator[None]:
    with _opened(path) as descriptor:
        _take(descriptor, kind, path, cache)
        yield


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    with storage_errors(path, "lock"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    _held.add(descriptor)
    try:
        yield descriptor
    finally:
        _held.discard(descriptor)
        os.close(descriptor)


def _refuse_overlap(folder: Path, share: tuple[int, int], cache: Path) -> None:
    """Shares of different numbers have parts in common, unless their places differ modulo what divides both numbers."""
    for lock in sorted(folder.glob("share-*.lock")):
        found = re.fullmatch(r"share-(\d+)-of-(\d+)", lock.stem)
        other = (int(found[1]), int(found[2])) if found else share
        if other != share and (share[0] - other[0]) % gcd(share[1], other[1]) == 0 and _is_held(lock):
            ours, theirs = "/".join(map(str, share)), "/".join(map(str, other))
            message = f"share {ours} of {cache} has parts in common with share {theirs}, being built by {_signer(lock)}"
            raise Locked(message, hint=f"wait for it, or take another share of {other[1]}")


def _take(descriptor: int, kind: int, path: Path, cache: Path) -> None:
    """Get the lock at once, or say who has it. A holder that is alone signs."""
    with storage_errors(path, "lock"):
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"{cache} is being built by {_holders(path)}"
            raise Locked(message, hint="wait for it, or stop that process first") from None
        if kind == fcntl.LOCK_EX:
            signature = {"pid": os.getpid(), "host": socket.gethostname()}
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(signature).encode(), 0)


def _holders(path: Path) -> str:
    """Who holds a lock that was refused: its own signer, or those of the shares."""
    shares = sorted(path.parent.glob("share-*.lock")) if path.name == "build.lock" else []
    names = [_signer(lock) + f" ({lock.stem})" for lock in shares if _is_held(lock)]
    return ", ".join(names) or _signer(path)


def _is_held(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)


def _signer(path: Path) -> str:
    try:
        signed = parse_json(path.read_bytes())
        return f"process {signed['pid']} on {signed['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
