"""Read JSON that may come from a stranger: within bounds, or refused with a one-line message.

Input: the text or the file of a record: a plan, a receipt, run.json, an evaluation, the settings beside weights. Output: plain
values, small enough that later code needs no limits of its own. All JSON that these packages read is read here.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kdcache.base.foreign import read_small
from kdcache.errors import Damage, KDError

MOST_BYTES = 1 << 25
"""Most bytes of a JSON file."""
MOST_VALUES = 500_000
"""Most values in a JSON text, lists and objects included. A plan that names 131,072 classes twice has fewer."""
MOST_OBJECTS, MOST_KEYS, MOST_LISTS = 10_000, 200_000, 100_000
"""Most objects, keys of all objects together, and lists in a record."""
MOST_LEVELS = 64
"""Deepest nesting of lists and objects."""
SMALLEST, LARGEST = -(1 << 63), (1 << 64) - 1
"""The range of whole numbers that are read: those that fit into a signed or an unsigned 64-bit type."""
_SHOWN = 24
_DIGITS = bytes(48 if 48 <= byte <= 57 else 32 for byte in range(256))
_LONG = b"0" * 19
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class NotPlain(ValueError):
    """The text is not JSON, or exceeds the bounds. The message is worded to follow a file name: "it has …"."""


def parse_json(raw: bytes | bytearray | str) -> Any:
    """Parse JSON text into plain values; NotPlain with the reason when it is not JSON or exceeds the bounds."""
    raw = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else bytes(raw)
    if len(raw) > MOST_BYTES:
        raise NotPlain(f"it has {len(raw):,} bytes, at most {MOST_BYTES:,} are read")
    if (count := count_values(raw)) > MOST_VALUES:
        raise NotPlain(f"it has {count:,} values, at most {MOST_VALUES:,} are read")
    try:
        # Checking each number in Python is slow, so it is done only when a number is long enough to need it.
        long = whole_number if _LONG in raw.translate(_DIGITS) else None
        value = json.loads(raw, parse_int=long, object_pairs_hook=_once)
    except NotPlain:
        raise
    except RecursionError:
        raise NotPlain(_TOO_DEEP) from None
    except ValueError as error:  # invalid JSON or invalid UTF-8
        raise NotPlain(f"it is not JSON: {error}") from error
    if raw.count(b"[") + raw.count(b"{") > MOST_LEVELS:
        refuse_depth(value)
    if _SURROGATE.search(raw) is not None:
        _refuse_surrogates(value)
    return value


def count_values(raw: bytes) -> int:
    """Count commas and brackets in JSON text, also those inside strings: an upper bound on the number of values."""
    return 1 + raw.count(b",") + raw.count(b"[") + raw.count(b"{")


def read_json(path: Path, *, hint: str, error: type[KDError] = Damage, most_bytes: int = MOST_BYTES) -> Any:
    """Read the values of a JSON file; when that fails, raise `error`, which names the file."""
    raw = read_small(path, most_bytes, hint=hint, error=error)
    try:
        return parse_json(raw)
    except NotPlain as reason:
        raise error(f"{path} cannot be used: {reason}", hint=hint, path=str(path)) from reason


def whole_number(digits: str) -> int:
    """Parse a whole number; NotPlain when it does not fit into 64 bits."""
    if len(digits) <= len(str(LARGEST)) and SMALLEST <= (number := int(digits)) <= LARGEST:
        return number
    shown = digits if len(digits) <= _SHOWN else f"{digits[: _SHOWN - 1]}…, with {len(digits):,} digits,"
    raise NotPlain(f"the number {shown} does not fit into 64 bits")


def refuse_depth(value: Any) -> None:
    """Raise NotPlain when lists and objects are nested more than MOST_LEVELS deep."""
    level = [value] if isinstance(value, list | dict) else []
    for _ in range(MOST_LEVELS):
        inner = (each for outer in level for each in (outer.values() if isinstance(outer, dict) else outer))
        if not (level := [each for each in inner if isinstance(each, list | dict)]):
            return
    raise NotPlain(_TOO_DEEP)


def beyond_reading(plain: Any, raw: bytes) -> str | None:
    """Why a record could be written but not read back, such as "510,000 values, …"; None when it can be read."""
    count = count_values(raw)
    return f"{count:,} values, at most {MOST_VALUES:,} are read back" if count > MOST_VALUES else crowd(plain)


def crowd(value: Any) -> str | None:
    """Why plain values are too many for a record ("more than 10,000 objects"); None when they are not.

    The limit saves memory: validating a record costs about a kilobyte for each mistake in it.
    """
    objects = keys = lists = 0
    level = [value] if isinstance(value, list | dict) else []
    while level:
        here = [each for each in level if isinstance(each, dict)]
        objects, keys, lists = objects + len(here), keys + sum(map(len, here)), lists + len(level) - len(here)
        counted = ((objects, MOST_OBJECTS, "objects"), (keys, MOST_KEYS, "keys"), (lists, MOST_LISTS, "lists"))
        if over := [f"more than {most:,} {what}" for count, most, what in counted if count > most]:
            return over[0]
        inner = (each for outer in level for each in (outer.values() if isinstance(outer, dict) else outer))
        level = [each for each in inner if isinstance(each, list | dict)]
    return None


_TOO_DEEP = f"lists or objects are more than {MOST_LEVELS} deep inside one another"


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object; NotPlain when a key is there twice, of which json would silently keep the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise NotPlain(f"key {_short(twice)} is there twice")
    return found


def _refuse_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise NotPlain(f"it has half a character (a lone surrogate): {error.object[error.start]!a}") from None


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")
