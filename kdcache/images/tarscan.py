"""Read the headers of an uncompressed tar without reading its members.

Input: a function that reads bytes at an offset, and where the tar begins and ends. Output: its members with their offsets. It
reads ustar, GNU long names and sizes, and pax records. A truncated tar (without its end mark, or with a member that reaches past
the end) raises Damage; it is never taken for a shorter one.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from kdcache.errors import Damage, UsageError

BLOCK = 512
Reader = Callable[[int, int], bytes]
"""Function of (offset, length) that returns at most `length` bytes."""

_EMPTY = bytes(BLOCK)
_FILE = (b"0", b"\0", b"7")
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL = b"L", b"K", b"x", b"g"
_MAX_EXTENSION = 1 << 20
_OCTAL = re.compile(rb"[0-7]*")
_MOST_DIGITS = 19
"""Most digits of a size in a pax header; with more it would exceed any disk."""
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


class Member(NamedTuple):
    """One member: offset of its headers, offset of its bytes, and their number."""

    name: bytes
    is_file: bool
    header: int
    data: int
    size: int


class _Override(NamedTuple):
    """Name and size from an extension header, which override those of the next member."""

    name: bytes | None = None
    size: int | None = None
    sparse: bool = False


def members(read: Reader, start: int, stop: int, where: str) -> Iterator[Member]:
    """All members between two offsets, in order. `where` names the tar in messages."""
    place = header = start
    override = _Override()
    while True:
        block = read(place, BLOCK) if place + BLOCK <= stop else b""
        if len(block) < BLOCK:
            raise Damage(f"{where} is truncated: no end mark after {place - start} bytes", hint="fetch that file again")
        if block == _EMPTY:
            _check_end(read, place, stop, where)
            return
        _check_header(block, place - start, where)
        kind, data = block[156:157], place + BLOCK
        size = _number(block[124:136], where) if override.size is None else override.size
        if data + size > stop:
            cut = (override.name or _name(block)).decode("utf-8", "replace")
            raise Damage(f"{where} is truncated within {cut!r}", hint="fetch that file again")
        place = data + -(-size // BLOCK) * BLOCK
        if kind in (_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL):
            override = _extend(override, kind, read, data, size, where)
            continue
        name = override.name or _name(block)
        regular = kind in _FILE and not override.sparse and not name.endswith(b"/")
        yield Member(name.removeprefix(b"./"), regular, header, data, size)
        header, override = place, _Override()


def _check_end(read: Reader, place: int, stop: int, where: str) -> None:
    if read(place, min(stop - place, 1 << 16)).strip(b"\0"):
        raise UsageError(
            f"{where} goes on after its end mark", hint="tars that were joined with cat cannot be read; split them"
        )


def _check_header(block: bytes, offset: int, where: str) -> None:
    stored = block[148:156]
    total = sum(block) - sum(stored) + 8 * 0x20
    try:
        right = int(stored.strip(b" \0"), 8) == total
    except ValueError:
        right = False
    if right:
        return
    if offset == 0:
        for magic, packing in _COMPRESSED.items():
            if block.startswith(magic):
                raise UsageError(
                    f"{where} is compressed with {packing}, which leaves no way to read one image",
                    hint="decompress it first",
                )
    raise Damage(
        f"{where} is damaged or not a tar: wrong header checksum at byte {offset}", hint="fetch that file again"
    )


def _name(block: bytes) -> bytes:
    name = block[:100].partition(b"\0")[0]
    prefix = block[345:500].partition(b"\0")[0]
    return prefix + b"/" + name if prefix and block[257:263] == b"ustar\0" else name


def _number(field: bytes, where: str) -> int:
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if not _OCTAL.fullmatch(digits):
        raise Damage(f"{where} is damaged: a member has no size", hint="fetch that file again")
    return int(digits or b"0", 8)


def _extend(before: _Override, kind: bytes, read: Reader, data: int, size: int, where: str) -> _Override:
    if kind == _LONG_LINK:
        return before
    if size > _MAX_EXTENSION:
        raise Damage(f"{where} is damaged: a header of {size} bytes", hint="fetch that file again")
    body = read(data, size)
    if kind == _LONG_NAME:
        return before._replace(name=body.rstrip(b"\0"))
    records = _pax(body, where)
    if kind == _PAX_GLOBAL:
        if b"path" in records or b"size" in records:
            raise UsageError(f"{where} gives all members one name or size", hint="pack it again with GNU tar")
        return before
    return _Override(
        name=records.get(b"path", before.name),
        size=int(records[b"size"]) if b"size" in records else before.size,
        sparse=any(key.startswith(b"GNU.sparse.") for key in records),
    )


def _pax(body: bytes, where: str) -> dict[bytes, bytes]:
    """Parse records `length key=value\\n`; `length` counts the whole record."""
    records, place = {}, 0
    while place < len(body) and body[place] != 0:
        digits, _, _ = body[place : place + 20].partition(b" ")
        length, first = int(digits) if digits.isdigit() else 0, place + len(digits) + 1
        key, equals, value = body[first : max(first, place + length - 1)].partition(b"=")
        if not equals or place + length > len(body):
            raise Damage(f"{where} is damaged: a pax header cannot be read", hint="fetch that file again")
        records[key] = value
        place += length
    size = records.get(b"size", b"0")
    if not size.isdigit() or len(size) > _MOST_DIGITS:
        raise Damage(f"{where} is damaged: a member has no size", hint="fetch that file again")
    return records
