"""The image formats that kd reads, recognised by the first bytes of a file and never by its name.

Input: encoded bytes. Output: a format and an opened (not yet decoded) Pillow image. Pillow's plug-ins are called directly: so
only nine formats are tried and not fifty (one of which starts another program), and limits and warning filters that other code
may have changed have no effect.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from kdcache.errors import BadImage
from kdcache.images import jpeg, png

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_USUAL = (
    "jpg",
    "jpeg",
    "jpe",
    "jfif",
    "png",
    "apng",
    "gif",
    "webp",
    "bmp",
    "dib",
    "tif",
    "tiff",
    "avif",
    "heic",
    "heif",
)
EXTENSIONS = frozenset((*_USUAL, "ppm", "pgm", "pbm", "pnm", "jp2", "j2k", "jpx"))
"""Extensions of the files that are listed as images, in lower case."""


@dataclass(frozen=True)
class Format:
    """One format and the Pillow class that reads it."""

    name: str
    plugin: str
    essential: Callable[[bytes], tuple[bytes, bytes]] | None = None
    """Function that removes everything that does not affect pixels, and also returns the EXIF block."""
    silent: bool = False
    """Whether the reader of this format never issues a warning, so that none has to be suppressed."""

    def open(self, raw: bytes) -> ImageFile:
        """Read the header. Pillow may raise anything on broken files; the caller turns that into BadImage."""
        if self.name == "JPEG 2000" and raw.find(_END_OF_CODESTREAM, raw.find(_START_OF_DATA)) < 0:
            raise BadImage("JPEG 2000 is truncated")  # its decoder would fill in the missing data
        module, reader = self.plugin.split(".")
        image: ImageFile = getattr(import_module(f"PIL.{module}"), reader)(io.BytesIO(raw))
        image.decodermaxblock = max(len(raw), 1)
        return image


JPEG = Format("JPEG", "JpegImagePlugin.JpegImageFile", jpeg.essential, silent=True)
PNG = Format("PNG", "PngImagePlugin.PngImageFile", png.essential, silent=True)
WEBP = Format("WebP", "WebPImagePlugin.WebPImageFile", silent=True)
GIF = Format("GIF", "GifImagePlugin.GifImageFile")
BMP = Format("BMP", "BmpImagePlugin.BmpImageFile")
TIFF = Format("TIFF", "TiffImagePlugin.TiffImageFile")
PNM = Format("PNM", "PpmImagePlugin.PpmImageFile")
JPEG2000 = Format("JPEG 2000", "Jpeg2KImagePlugin.Jpeg2KImageFile")
AVIF = Format("AVIF", "AvifImagePlugin.AvifImageFile")

_MAGIC = (
    (b"\xff\xd8\xff", JPEG),
    (png.MAGIC, PNG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"II+\0", TIFF),
    (b"MM\0+", TIFF),
    (b"\xff\x4f\xff\x51", JPEG2000),
    (b"\0\0\0\x0cjP  \r\n\x87\n", JPEG2000),
    (b"BM", BMP),
)
_START_OF_DATA, _END_OF_CODESTREAM = b"\xff\x93", b"\xff\xd9"
"""JPEG 2000 markers, which cannot occur within packets of data."""
_AVIF_BRANDS = (b"avif", b"avis")
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")


def recognise(raw: bytes) -> Format:
    """The format of encoded bytes; BadImage for a format that kd does not read."""
    if not raw:
        raise BadImage("empty file")
    for magic, found in _MAGIC:
        if raw.startswith(magic):
            return found
    if raw[:4] == b"RIFF" and raw[8:12] == b"WEBP":
        return WEBP
    if raw[:1] == b"P" and raw[1:2] in b"123456" and raw[2:3].isspace():
        return PNM
    if raw[4:8] == b"ftyp":
        return _boxed(raw)
    raise BadImage("not an image")


def _boxed(raw: bytes) -> Format:
    brands = raw[8 : min(struct.unpack_from(">I", raw)[0], 256)]
    if any(brand in brands for brand in _AVIF_BRANDS):
        return AVIF
    if any(brand in brands for brand in _HEIF_BRANDS):
        raise BadImage("HEIC is not supported")
    raise BadImage("not an image")


def webp_size(raw: bytes) -> tuple[int, int] | None:
    """Width and height of a WebP canvas, to check before its reader allocates memory for it."""
    if len(raw) < 30:
        return None
    if raw[12:16] == b"VP8X":
        return 1 + int.from_bytes(raw[24:27], "little"), 1 + int.from_bytes(raw[27:30], "little")
    if raw[12:16] == b"VP8L":
        bits = int.from_bytes(raw[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", raw, 26)
    return width & 0x3FFF, height & 0x3FFF
