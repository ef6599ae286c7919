"""Tables for the terminal; numbers are formatted by kdcache.base.figures."""

import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence

from cli.shown import on_a_line
from kdcache.base.figures import clock, duration, number, plural, rate, size, speed

__all__ = [
    "clock",
    "columns",
    "duration",
    "errors",
    "legend",
    "listing",
    "number",
    "on_a_line",
    "pairs",
    "plural",
    "rate",
    "size",
    "speed",
]


def errors(measured: Mapping[str, float]) -> str:
    """Measured errors as text, `cosine 0.999998, max_abs 0.0002`: six digits for values above 0.1, two for smaller ones."""
    return ", ".join(
        f"{name} {value:.6g}" if value > 0.1 else f"{name} {value:.2g}" for name, value in measured.items()
    )


_MEANINGS = {
    "head_mass": "total probability of the kept classes",
    "max_abs_probability": "largest error of a probability",
    "max_abs": "largest error of a number",
    "kl": "distance from the teacher at temperature 1, 2, 4, in nats",
    "relative_rms": "error as a fraction of the values (root mean squares)",
    "cosine": "between the original and the decoded values",
}


def legend(measured: Iterable[Mapping[str, float]]) -> str:
    """Meanings of the names of errors, one line for each that was used."""
    used = {name.partition("_t")[0] if name.startswith("kl_t") else name for errors in measured for name in errors}
    return columns(
        [["kl_t{1,2,4}" if name == "kl" else name, meaning] for name, meaning in _MEANINGS.items() if name in used]
    )


def columns(rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()) -> str:
    """Aligned columns, two spaces apart; those in `right` are right-aligned."""
    table = [[on_a_line(cell) for cell in row] for row in rows]
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


def listing(rows: Sequence[Sequence[str]], *, right: Iterable[int] = ()) -> str:
    """A table whose first row is its heading; on a terminal that is too narrow, a block of lines for each row instead."""
    table, width = columns(rows, right=right), _terminal_width()
    if width is None or max(map(len, table.splitlines()), default=0) <= width:
        return table
    head, *body = rows
    return "\n\n".join(_block(head, row, width) for row in body)


_NARROWEST = 20
"""Smallest width to which a cell is wrapped, in characters; on narrower terminals the terminal breaks the lines."""


def _block(head: Sequence[str], row: Sequence[str], width: int) -> str:
    """`head  value` lines; a long value continues under its first word, and no word is broken."""
    margin = max(map(len, head)) + 2
    lines = []
    for name, cell in zip(head, row, strict=True):
        room = max(width - margin, _NARROWEST)
        parts = textwrap.wrap(on_a_line(cell), room, break_long_words=False, break_on_hyphens=False)
        lines.append(f"\n{'':{margin}}".join([f"{name:{margin}}{parts[0]}", *parts[1:]]) if parts else name)
    return "\n".join(lines)


def _terminal_width() -> int | None:
    """Width of the terminal in columns; None if stdout is a file or a pipe, where lines are never wrapped."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
