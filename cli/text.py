"""Numbers and tables as people read them."""

from collections.abc import Iterable, Mapping, Sequence

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


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
    """1,204 or 0.032: three digits, whatever the size."""
    return f"{a_second:,.0f}" if a_second >= 100 else f"{a_second:.3g}"


def errors(measured: Mapping[str, float]) -> str:
    """`cosine 0.999998, max_abs 0.0002`: two digits of what is small, all that count of what is near 1."""
    return ", ".join(
        f"{name} {value:.6g}" if value > 0.1 else f"{name} {value:.2g}" for name, value in measured.items()
    )


def plural(count: int, one: str, many: str = "") -> str:
    """1 part, 1,204 parts."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def columns(rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()) -> str:
    """Aligned columns, two spaces apart; those in `right` end flush."""
    table = [list(row) for row in rows]
    flush = set(right)
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    lines = (
        "  ".join(c.rjust(w) if i in flush else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in table
    )
    return "\n".join(line.rstrip() for line in lines)


def pairs(values: Iterable[tuple[str, str]]) -> str:
    """`name  value` lines."""
    return columns([[name, value] for name, value in values])
