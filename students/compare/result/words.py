"""Figures of a comparison as text, the same in the table, in the sentences and on the page."""

from collections.abc import Callable

from students.compare.result.sums import Spread

NOT_THERE = "–"
Shown = Callable[[float], str]


def reach(spread: Spread | None, shown: Shown) -> str:
    """A mean and its interval, `3 ± 1`; a dash for None."""
    if spread is None:
        return NOT_THERE
    return shown(spread.mean) if spread.half is None else f"{shown(spread.mean)} ± {shown(spread.half)}"


def milliseconds(seconds: float) -> str:
    """Seconds as `12 ms`."""
    return f"{1000 * seconds:,.0f} ms" if seconds >= 0.1 or not seconds else f"{1000 * seconds:.2g} ms"


def percent(share: float) -> str:
    """A fraction of 1 as `12.3%`."""
    return f"{share:.1%}"


def joules(value: float) -> str:
    """Joules as `3.2 J`."""
    return f"{value:,.3g} J"


def times(count: float, one: str, more: str) -> str:
    """A number with its unit: `1 epoch`, `2.5 epochs`."""
    return f"{count:g} {one if count == 1 else more}"
