"""PNG before it is decoded: every chunk checked, everything but the picture left out.

Input: the bytes of a PNG file. Output: a PNG of the chunks that decide pixels, and its EXIF block. Text chunks (a bomb of their
own), colour profiles and the frames of an animation are left out: what remains is the default image, which is what
a viewer without animation shows. A checksum covers every chunk, so a flipped byte in any that matters is found.
"""

import struct
import zlib

from kdcache.errors import BadImage

MAGIC = b"\x89PNG\r\n\x1a\n"
_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_EXIF = b"eXIf"


def essential(raw: bytes) -> tuple[bytes, bytes]:
    """The same picture without anything that does not decide pixels, and the EXIF block (empty when there is none)."""
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
