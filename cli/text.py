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


def speed(a_second: float) -> str:
    """1,204 images/s, or, where that would be less than one, 24 s an image."""
    return f"{rate(a_second)} images/s" if a_second >= 1 or not a_second else f"{duration(1 / a_second)} an image"


def number(value: float) -> str:
    """46, or 46.5 where there is a fraction."""
    return f"{value:,.1f}".removesuffix(".0")


def errors(measured: Mapping[str, float]) -> str:
    """`cosine 0.999998, max_abs 0.0002`: two digits of what is small, all that count of what is near 1."""
    return ", ".join(
        f"{name} {value:.6g}" if value > 0.1 else f"{name} {value:.2g}" for name, value in measured.items()
    )


_MEANINGS = {
    "head_mass": "probability of the kept classes, of 1",
    "max_abs_probability": "largest error of a probability",
    "max_abs": "largest error of a number",
    "kl": "distance from the teacher at temperature 1, 2, 4, in nats",
    "relative_rms": "error as a share of the values",
    "cosine": "between what went in and what comes out",
}


def legend(measured: Iterable[Mapping[str, float]]) -> str:
    """What the names of errors mean, one line for each that was used."""
    used = {name.partition("_t")[0] if name.startswith("kl_t") else name for errors in measured for name in errors}
    return columns(
        [["kl_t{1,2,4}" if name == "kl" else name, told] for name, told in _MEANINGS.items() if name in used]
    )


def plural(count: int, one: str, many: str = "") -> str:
    """1 part, 1,204 parts."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def columns(rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()) -> str:
    """Aligned columns, two spaces apart; those in `right` end flush."""
    table = [list(row) for row in rows]
    if not table:
        return ""
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
