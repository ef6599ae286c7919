"""Who may build: one process alone, or several with a share each. Readers need no lock.

Locks are files in `<cache>/locks` that the place locks: they go with the process that holds them, however it dies. The files
stay; each tells who holds it. Who wants one, or writes what is there once for all parts, first waits for its turn: so two that
start at the same moment see one another.
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
    """Hold the right to build: all of it, or share (i, n) beside the holders of other shares."""
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
    """Wait for the others at the door, each of whom needs it for a moment only."""
    with place.lock(f"{FOLDER}/turn.lock", wait=True):
        yield


def _refuse_overlap(place: Place, share: tuple[int, int]) -> None:
    """Shares of different numbers have parts in common, unless their places differ modulo what divides both numbers."""
    for name, other in _shares(place):
        if other != share and (share[0] - other[0]) % gcd(share[1], other[1]) == 0 and _is_held(place, name):
            ours, theirs = "/".join(map(str, share)), "/".join(map(str, other))
            holder = _signer(place, name)
            message = f"share {ours} of {place} has parts in common with share {theirs}, being built by {holder}"
            raise Locked(message, hint=f"wait for it, or take another share of {other[1]}")


def _shares(place: Place) -> list[tuple[str, tuple[int, int]]]:
    """The locks of shares that were ever taken: (name, (place, number))."""
    found = [re.fullmatch(r"share-(\d{1,9})-of-(\d{1,9})\.lock", name) for name in place.list(FOLDER)]
    return sorted((match[0], (int(match[1]), int(match[2]))) for match in found if match and int(match[2]))


def _take(held: ExitStack, place: Place, name: str, *, shared: bool = False) -> None:
    """Get the lock at once, or say who has it. A holder that is alone signs."""
    signature = b"" if shared else json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode()
    try:
        held.enter_context(place.lock(f"{FOLDER}/{name}", shared=shared, signature=signature))
    except BlockingIOError:
        message = f"{place} is being built by {_holders(place, name)}"
        raise Locked(message, hint="wait for it, or stop that process first") from None


def _holders(place: Place, name: str) -> str:
    """Who holds a lock that was refused: its own signer, or those of the shares."""
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
