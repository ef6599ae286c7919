"""Numbers and lists as people read them: bytes, times, rates, counts, a few words in a row."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from kdcache.errors import UsageError

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?) ?([KMGTkmgt])(i?)[Bb]?")


def size(count: float) -> str:
    """Bytes in decimal units: 1.43 GB."""
    unit = 0
    while count >= 999.5 and unit < len(_UNITS) - 1:
        count /= 1000
        unit += 1
    return f"{count:.0f} B" if unit == 0 else f"{count:.3g} {_UNITS[unit]}"


def duration(seconds: float) -> str:
    """0.4 s, 12 s, 3 min 20 s, 2 h 05 min, 3.1 days."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    if seconds < 48 * 3600:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{seconds / 86400:.1f} days"


def rate(a_second: float) -> str:
    """1,204 or 0.032: three significant digits, or a whole number from 100 on."""
    return f"{a_second:,.0f}" if a_second >= 100 else f"{a_second:.3g}"


def speed(a_second: float) -> str:
    """1,204 images/s, or, where that would be less than one, 24 s an image."""
    return f"{rate(a_second)} images/s" if a_second >= 1 or not a_second else f"{duration(1 / a_second)} an image"


def number(value: float) -> str:
    """46, or 46.5 where there is a fraction."""
    return f"{value:,.1f}".removesuffix(".0")


def plural(count: int, one: str, many: str = "") -> str:
    """1 part, 1,204 parts."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(words: Sequence[str], last: str = "and") -> str:
    """knn, probe and retrieve; `last`: the word before the last one."""
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def moment(nanoseconds: int) -> datetime | None:
    """A file's time (nanoseconds since 1970) in UTC; None outside the years 1 to 9999, which a copied file may have."""
    try:
        return datetime.fromtimestamp(nanoseconds / 1e9, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def clock(when: datetime | None) -> str:
    """2026-11-30 04:45 in the time zone of this machine; empty for None."""
    return "" if when is None else when.astimezone().strftime("%Y-%m-%d %H:%M")


def iso(when: datetime | None) -> str | None:
    """A time for programs, to the second: 2026-11-30T04:45:12+00:00."""
    return None if when is None else when.isoformat(timespec="seconds")


def whole(text: str) -> int | None:
    """Parse a non-negative whole number of at most 18 digits, which is enough for every setting; None for any other text."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def byte_count(text: str, option: str) -> int:
    """Parse 24GB, 24 GB, 24GiB or 16000MiB into bytes; UsageError names `option`."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None or not 0 < float(found[1]) < 1e9:
        raise UsageError(f"{option} {text!r} is no amount of memory", hint=f"such as {option} 24GB")
    base = 1024 if found[3] else 1000
    return round(float(found[1]) * float(base) ** (" KMGT".index(found[2].upper())))
