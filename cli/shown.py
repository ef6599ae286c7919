"""What a terminal is shown: letters, not commands to it.

Names of images, classes, folders and files come from others. Sequences that move the cursor, set a title, turn the direction of
writing or cannot be seen would let them forge or hide what `kd` says; here they are written out (`\\x1b`, `\\u202e`).
"""

import re

# Letters that Python calls printable and that show nothing: a name that has one looks like another name.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_COLOUR = re.compile(r"(\x1b\[[0-9;]*m)")


def on_a_line(text: str) -> str:
    """Text of any origin as it may stand within a line."""
    return text if _is_plain(text) else "".join(letter if _is_plain(letter) else ascii(letter)[1:-1] for letter in text)


def shown(text: str, *, colored: bool) -> str:
    """Several lines as they may be written; colours stay where the stream shows them."""
    return "\n".join(_line(line, colored) for line in text.split("\n"))


def plain_json(text: str) -> str:
    """JSON with the same values, in which what a terminal would obey is written as JSON writes it."""
    return text if _is_plain(text) else "".join(letter if _is_plain(letter) else _escaped(letter) for letter in text)


def _is_plain(text: str) -> bool:
    return text.isprintable() and _UNSEEN.search(text) is None


def _line(line: str, colored: bool) -> str:
    if not colored:
        return on_a_line(line)
    return "".join(part if _COLOUR.fullmatch(part) else on_a_line(part) for part in _COLOUR.split(line))


def _escaped(letter: str) -> str:
    """`\\uXXXX`, or two of them for what lies beyond 16 bits."""
    code = ord(letter)
    if code < 0x10000:
        return f"\\u{code:04x}"
    return f"\\u{0xD800 + (code - 0x10000 >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
