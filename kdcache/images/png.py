"""Check all chunks of a PNG before it is decoded, and remove everything but the picture.

Input: the bytes of a PNG file. Output: a PNG with only the chunks that affect pixels, and its EXIF block. Text chunks (which can
be decompression bombs), colour profiles and animation frames are removed; the default image remains, which viewers without
animation show. Every chunk has a checksum, so a flipped byte in any chunk that matters is found.
"""

import struct
import zlib

from kdcache.errors import BadImage

MAGIC = b"\x89PNG\r\n\x1a\n"
_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_EXIF = b"eXIf"


def essential(raw: bytes) -> tuple[bytes, bytes]:
    """The PNG without chunks that do not affect pixels, and its EXIF block (empty if there is none)."""
    kept: list[bytes | memoryview] = [MAGIC]
    view, exif, place = memoryview(raw), b"", len(MAGIC)
    while place + 12 <= len(raw):
        length, kind = struct.unpack_from(">I4s", raw, place)
        end = place + 12 + length
        if end > len(raw):
            break
        if kind in _KEPT or kind == _EXIF:
            (checksum,) = struct.unpack_from(">I", raw, end - 4)
            if zlib.crc32(view[place + 4 : end - 4]) != checksum:
                raise BadImage("PNG is damaged")
            if kind == _EXIF:
                exif = raw[place + 8 : end - 4]
            else:
                kept.append(view[place:end])
        if kind == b"IEND":
            return b"".join(kept), exif
        place = end
    raise BadImage("PNG is truncated")
