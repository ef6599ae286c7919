"""Who may build: one process alone, or several with a share each. Readers need no lock.

Locks are flock on files in `<cache>/locks`, so they go with the process that holds them, however it dies. The files stay; each
tells who holds it. Who wants one, or writes what is there once for all parts, first waits for its turn: so two that start at the
same moment see one another. What lies there under the name of a lock is a plain file of this folder alone, or Damage: nothing
else is ever locked, or signed.
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

from kdcache.base import beneath
from kdcache.base.atomic import make_folder, storage_errors
from kdcache.base.plain_json import parse_json
from kdcache.errors import KDError, Locked

FOLDER = "locks"
WHOLE = "build.lock"
_SIGNATURE_BYTES = 4096
_HOST = 255
"""letters of a host name"""
_held: set[int] = set()


def _leave_to_parent() -> None:
    """A forked worker must not keep the lock of a builder that was killed."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_leave_to_parent)


@contextmanager
def build_lock(cache: Path, share: tuple[int, int] | None = None) -> Iterator[None]:
    """Hold the right to build: all of it, or share (i, n) beside the holders of other shares."""
    with ExitStack() as held:
        with turn(cache):
            if share is None:
                held.enter_context(_flock(cache, WHOLE, fcntl.LOCK_EX))
            else:
                held.enter_context(_flock(cache, WHOLE, fcntl.LOCK_SH))
                _refuse_overlap(cache, share)
                held.enter_context(_flock(cache, f"share-{share[0]}-of-{share[1]}.lock", fcntl.LOCK_EX))
        yield


@contextmanager
def turn(cache: Path) -> Iterator[None]:
    """Wait for the others at the door, each of whom needs it for a moment only."""
    make_folder(cache)
    make_folder(cache / FOLDER, cache)
    with _opened(cache, "turn.lock") as descriptor:
        with storage_errors(cache / FOLDER / "turn.lock", "lock"):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


@contextmanager
def _flock(cache: Path, name: str, kind: int) -> Iterator[None]:
    with _opened(cache, name) as descriptor:
        _take(descriptor, kind, cache, name)
        yield


@contextmanager
def _opened(cache: Path, name: str) -> Iterator[int]:
    path = cache / FOLDER / name
    with storage_errors(path, "lock"), beneath.opened(cache, f"{FOLDER}/{name}", os.O_RDWR | os.O_CREAT) as found:
        if os.fstat(found).st_nlink != 1:  # the file has another name elsewhere, and would be overwritten there
            raise beneath.not_plain(path, "file of its own")
        descriptor = os.dup(found)
    _held.add(descriptor)
    try:
        yield descriptor
    finally:
        _held.discard(descriptor)
        os.close(descriptor)


def _refuse_overlap(cache: Path, share: tuple[int, int]) -> None:
    """Shares of different numbers have parts in common, unless their places differ modulo what divides both numbers."""
    for name, other in _shares(cache):
        if other != share and (share[0] - other[0]) % gcd(share[1], other[1]) == 0 and _is_held(cache, name):
            ours, theirs = "/".join(map(str, share)), "/".join(map(str, other))
            holder = _signer(cache, name)
            message = f"share {ours} of {cache} has parts in common with share {theirs}, being built by {holder}"
            raise Locked(message, hint=f"wait for it, or take another share of {other[1]}")


def _shares(cache: Path) -> list[tuple[str, tuple[int, int]]]:
    """The locks of shares that were ever taken: (name, (place, number))."""
    with storage_errors(cache / FOLDER, "list"):
        found = [re.fullmatch(r"share-(\d{1,9})-of-(\d{1,9})\.lock", name) for name in beneath.names(cache, FOLDER)]
    return sorted((match[0], (int(match[1]), int(match[2]))) for match in found if match and int(match[2]))


def _take(descriptor: int, kind: int, cache: Path, name: str) -> None:
    """Get the lock at once, or say who has it. A holder that is alone signs."""
    with storage_errors(cache / FOLDER / name, "lock"):
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"{cache} is being built by {_holders(cache, name)}"
            raise Locked(message, hint="wait for it, or stop that process first") from None
        if kind == fcntl.LOCK_EX:
            signature = {"pid": os.getpid(), "host": socket.gethostname()}
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(signature).encode(), 0)


def _holders(cache: Path, name: str) -> str:
    """Who holds a lock that was refused: its own signer, or those of the shares."""
    shares = [share for share, _ in _shares(cache)] if name == WHOLE else []
    names = [f"{_signer(cache, share)} ({share.removesuffix('.lock')})" for share in shares if _is_held(cache, share)]
    return ", ".join(names) or _signer(cache, name)


def _is_held(cache: Path, name: str) -> bool:
    with beneath.opened(cache, f"{FOLDER}/{name}", os.O_RDWR) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def _signer(cache: Path, name: str) -> str:
    try:
        signed = parse_json(beneath.read(cache, f"{FOLDER}/{name}", _SIGNATURE_BYTES))
        return f"process {int(signed['pid'])} on {str(signed['host'])[:_HOST]}"
    except (OSError, ValueError, TypeError, LookupError, KDError):
        return "another process"
