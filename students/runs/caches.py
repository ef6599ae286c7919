"""The caches of a run as run.json keeps them, and in which of them a signal is.

Input: the records of the caches, in order, and the address of a signal: its name, or `NAME.SIGNAL` with the name of a cache.
Output: every place the address leads to. A training reads what leads to one place; with two, nothing says which is meant.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from kdcache.base.strict import Strict
from kdcache.signals.signal import Signal
from kdcache.signals.teacher import TeacherSpec
from students.base.validation import SetName

MOST_CACHES = 16
"""Largest number of caches that one training reads."""


class CacheRecord(Strict):
    """A cache a student was trained from."""

    path: Annotated[str, Field(pattern=r"^[^\x00]+$")]
    identity: str
    teacher: TeacherSpec
    signals: dict[str, str]
    """Signal -> codec."""
    name: SetName | None = None
    """Name of the cache, as in `--cache NAME=DIR` and in the address NAME.SIGNAL; None if it was given none."""

    @property
    def stored(self) -> tuple[Signal, ...]:
        """The signals that the cache stores, as its teacher describes them."""
        return tuple(signal for signal in self.teacher.signals if signal.name in self.signals)

    @model_serializer(mode="wrap")
    def _leave_out_unused(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A name is written only where there is one."""
        return {key: value for key, value in write(self).items() if key != "name" or value is not None}


class CachedSignal(NamedTuple):
    """A signal in one of the caches."""

    cache: CacheRecord
    signal: Signal

    @property
    def address(self) -> str | None:
        """NAME.SIGNAL; None where the cache has no name."""
        return f"{self.cache.name}.{self.signal.name}" if self.cache.name else None


def all_signals(caches: Iterable[CacheRecord], *, live: bool = False) -> list[CachedSignal]:
    """Every signal of every cache. `live`: all that the teachers emit, stored or not."""
    return [
        CachedSignal(cache, signal) for cache in caches for signal in (cache.teacher.signals if live else cache.stored)
    ]


def find_signals(address: str, places: Sequence[CachedSignal]) -> list[CachedSignal]:
    """Those that an address leads to."""
    return [place for place in places if address in (place.signal.name, place.address)]


def signals_by_address(places: Sequence[CachedSignal], addresses: Iterable[str] = ()) -> dict[str, Signal]:
    """Signals by address: by name alone where that leads to one place, else by NAME.SIGNAL; and `addresses` where they do."""
    usual = [
        place.signal.name if len(find_signals(place.signal.name, places)) == 1 else place.address for place in places
    ]
    found = {address: find_signals(address, places) for address in (*usual, *addresses) if address is not None}
    return {address: led[0].signal for address, led in found.items() if len(led) == 1}


def paths_of(caches: Iterable[CacheRecord]) -> str:
    """The paths of caches as messages name them."""
    return " and ".join(cache.path for cache in caches)
