"""Remove the metadata of a JPEG before it is decoded, except its orientation.

Input: the bytes of a JPEG file. Output: a JPEG with only the segments that affect pixels, and its EXIF block. Comments, profiles,
thumbnails and maker notes are removed, because Pillow would read them (and warn or fail if they are broken) although no pixel
depends on them. Stray bytes between segments are skipped, as every decoder does.
"""

from kdcache.errors import BadImage

_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_ALONE = frozenset((0x00, 0x01, _START, *range(0xD0, 0xD8)))
"""Marker codes that have no length field: stuffing, restarts, a second start."""
_METADATA = frozenset((*range(0xE1, 0xEE), 0xEF, 0xFE))
"""Marker codes of metadata: APP1 to APP13, APP15 and comments. APP0 (JFIF) and APP14 (Adobe) are not included, because
they describe the coding of colours.
"""
_APP1 = 0xE1
_EXIF = b"Exif\0\0"


def essential(raw: bytes) -> tuple[bytes, bytes]:
    """The JPEG without metadata, and its first EXIF block (empty if there is none)."""
    view, exif, place = memoryview(raw), b"", 2
    kept: list[memoryview] = [view[:2]]
    while True:
        place = raw.find(b"\xff", place)
        if place < 0 or place + 4 > len(raw):
            raise BadImage("JPEG is truncated")
        code = raw[place + 1]
        if code == 0xFF or code in _ALONE:
            place += 1 if code == 0xFF else 2
            continue
        if code == _SCAN:
            kept.append(view[place:])
            return b"".join(kept), exif
        length = int.from_bytes(view[place + 2 : place + 4], "big")
        end = place + 2 + length
        if code == _END or length < 2:
            raise BadImage("JPEG is damaged")
        if end > len(raw):
            raise BadImage("JPEG is truncated")
        if code not in _METADATA:
            kept.append(view[place:end])
        elif code == _APP1 and not exif and raw.startswith(_EXIF, place + 4):
            exif = raw[place + 4 : end]
        place = end
