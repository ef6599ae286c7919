"""Figures of a comparison as text, the same in the table, in the sentences and on the page."""

from collections.abc import Callable

from kdcache.base.figures import duration
from students.compare.result.sums import Spread

NOT_THERE = "–"
Shown = Callable[[float], str]
_UNITS = (("seconds", 1.0), ("minutes", 60.0), ("hours", 3600.0), ("days", 86400.0))


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


def kilowatt_hours(value: float) -> str:
    """Kilowatt hours as `0.21 kWh`."""
    return f"{value:,.3g} kWh"


def times(count: float, one: str, more: str) -> str:
    """A number with its unit: `1 epoch`, `2.5 epochs`."""
    return f"{count:g} {one if count == 1 else more}"


def both_times(first: float, second: float) -> tuple[str, str]:
    """Two times in seconds with one unit, for a sentence: `31 minutes` and `92`."""
    longest = max(first, second)
    unit, seconds = next((unit for unit in _UNITS if longest < 120 * unit[1]), _UNITS[-1])
    if min(first, second) < seconds:
        return duration(first), duration(second)
    return f"{brief(first / seconds)} {unit}", brief(second / seconds)


def brief(value: float) -> str:
    """A number for a sentence: two significant digits, or a whole number from 10 on."""
    return f"{value:,.0f}" if abs(value) >= 9.95 else f"{value:.2g}"


def less(share: float) -> str:
    """What a fraction saves or costs: `66 % less`, `12 % more`."""
    amount = f"{abs(share):.0%}".replace("%", " %")
    return f"{'less than 1 %' if amount == '0 %' else amount} {'less' if share >= 0 else 'more'}"


def between(spread: Spread) -> str:
    """An interval of what is saved, in words: `between 60 % and 70 % less`, `between 7 % more and 26 % less`."""
    half = spread.half or 0.0
    low, high = sorted((spread.mean - half, spread.mean + half), key=abs)
    if low * high < 0:
        low, high = min(low, high), max(low, high)
        return f"between {less(low)} and {less(high)}"
    return f"between {abs(low):.0%} and {less(high)}".replace("%", " %", 1)
