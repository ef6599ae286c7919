"""Makes text safe for a terminal: no control characters, except for kd's own colours (kdcache/base/visible.py)."""

import re

from kdcache.base.visible import is_visible, on_a_line

__all__ = ["on_a_line", "plain_json", "shown"]

_COLOUR = re.compile(r"(\x1b\[[0-9;]*m)")


def shown(text: str, *, colored: bool) -> str:
    """Several lines, safe to print; colours are kept if `colored`."""
    return "\n".join(_line(line, colored) for line in text.split("\n"))


def plain_json(text: str) -> str:
    """JSON with the same values, in which control characters are escaped as JSON escapes them."""
    return text if is_visible(text) else "".join(letter if is_visible(letter) else _escaped(letter) for letter in text)


def _line(line: str, colored: bool) -> str:
    if not colored:
        return on_a_line(line)
    return "".join(part if _COLOUR.fullmatch(part) else on_a_line(part) for part in _COLOUR.split(line))


def _escaped(letter: str) -> str:
    """A character as `\\uXXXX`, or as two of them beyond 16 bits."""
    code = ord(letter)
    if code < 0x10000:
        return f"\\u{code:04x}"
    return f"\\u{0xD800 + (code - 0x10000 >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
