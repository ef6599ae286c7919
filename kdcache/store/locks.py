"""Build locks: one process builds alone, or several build a share each. Readers need no lock.

Locks are files in `<cache>/locks` that the place locks; a lock ends with the process that holds it, however that dies. The files
stay, and tell who holds or last held the lock. A process that takes a lock, or writes files that all parts share, does so in its
`turn`, so that two processes that start at the same moment see each other.
"""

import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import gcd

from kdcache.base.plain_json import parse_json
from kdcache.errors import KDError, Locked
from kdcache.store.places.place import Place

FOLDER = "locks"
WHOLE = "build.lock"
_SIGNATURE_BYTES = 4096
_HOST = 255
"""How many characters of a host name are kept."""


@contextmanager
def build_lock(place: Place, share: tuple[int, int] | None = None) -> Iterator[None]:
    """Hold the build lock: for the whole cache, or for share (i, n) beside holders of other shares."""
    with ExitStack() as held:
        with turn(place):
            if share is None:
                _take(held, place, WHOLE)
            else:
                _take(held, place, WHOLE, shared=True)
                _refuse_overlap(place, share)
                _take(held, place, f"share-{share[0]}-of-{share[1]}.lock")
        yield


@contextmanager
def turn(place: Place) -> Iterator[None]:
    """Hold the short-term lock of the cache; other holders keep it only for a moment."""
    with place.lock(f"{FOLDER}/turn.lock", wait=True):
        yield


def _refuse_overlap(place: Place, share: tuple[int, int]) -> None:
    """Locked if another held share has parts in common: if i and j of shares i/n and j/m are equal modulo gcd(n, m)."""
    for name, other in _shares(place):
        if other != share and (share[0] - other[0]) % gcd(share[1], other[1]) == 0 and _is_held(place, name):
            ours, theirs = "/".join(map(str, share)), "/".join(map(str, other))
            holder = _signer(place, name)
            message = f"share {ours} of {place} has parts in common with share {theirs}, being built by {holder}"
            raise Locked(message, hint=f"wait for it, or take another share of {other[1]}")


def _shares(place: Place) -> list[tuple[str, tuple[int, int]]]:
    """The lock files of all shares that were ever taken: (name, (i, n))."""
    found = [re.fullmatch(r"share-(\d{1,9})-of-(\d{1,9})\.lock", name) for name in place.list(FOLDER)]
    return sorted((match[0], (int(match[1]), int(match[2]))) for match in found if match and int(match[2]))


def _take(held: ExitStack, place: Place, name: str, *, shared: bool = False) -> None:
    """Take a lock without waiting; Locked names the holder. An exclusive holder writes its name into the file."""
    signature = b"" if shared else json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode()
    try:
        held.enter_context(place.lock(f"{FOLDER}/{name}", shared=shared, signature=signature))
    except BlockingIOError:
        message = f"{place} is being built by {_holders(place, name)}"
        raise Locked(message, hint="wait for it, or stop that process first") from None


def _holders(place: Place, name: str) -> str:
    """Description of who holds a lock: its own holder, or the holders of shares."""
    shares = [share for share, _ in _shares(place)] if name == WHOLE else []
    names = [f"{_signer(place, share)} ({share.removesuffix('.lock')})" for share in shares if _is_held(place, share)]
    return ", ".join(names) or _signer(place, name)


def _is_held(place: Place, name: str) -> bool:
    return place.locked(f"{FOLDER}/{name}")


def _signer(place: Place, name: str) -> str:
    try:
        signed = parse_json(place.read(f"{FOLDER}/{name}", _SIGNATURE_BYTES))
        return f"process {int(signed['pid'])} on {str(signed['host'])[:_HOST]}"
    except (OSError, ValueError, TypeError, LookupError, KDError):
        return "another process"
