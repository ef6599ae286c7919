"""One picture in every form that is not plain 8-bit RGB: transparent, indexed, CMYK, 16 bits, lying on its side."""

import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.images.samples import encode, grey, picture, png

WIDTH, HEIGHT = 60, 44


def odd_images(seed: int = 0) -> dict[str, bytes]:
    """File name -> encoded bytes; every one of them is read, and looks different on another background where it has alpha."""
    whole = picture(WIDTH, HEIGHT, seed)
    alpha = Image.fromarray(_disc())
    clear, faint = whole.copy(), whole.convert("L")
    clear.putalpha(alpha)
    faint.putalpha(alpha)
    indexed = whole.quantize(16)
    wide = np.asarray(whole.convert("L")).astype(np.uint16) * 257
    rows = [row.astype(">u2").tobytes() for row in wide]
    key16 = (b"tRNS", struct.pack(">H", int(wide[20, 30])))
    key = (b"tRNS", struct.pack(">3H", *map(int, np.asarray(whole)[20, 30])))
    turned: dict[str, bytes] = {}
    for tag, form in ((2, "JPEG"), (6, "JPEG"), (8, "PNG"), (5, "WEBP"), (3, "TIFF")):
        exif = Image.Exif()
        exif[0x0112] = tag
        turned[f"turned-{tag}.{form.lower()}"] = encode(clear if form in ("PNG", "WEBP") else whole, form, exif=exif)
    return {
        "rgba.png": encode(clear, "PNG"),
        "rgba.webp": encode(clear, "WEBP"),
        "rgba.tif": encode(clear, "TIFF"),
        "premultiplied.tif": _premultiplied(clear),
        "la.png": encode(faint, "PNG"),
        "palette.png": encode(indexed, "PNG"),
        "palette-one-clear.png": encode(indexed, "PNG", transparency=3),
        "palette-alpha.png": encode(indexed, "PNG", transparency=bytes(range(0, 256, 16))),
        "clear.gif": encode(indexed, "GIF", transparency=5),
        "key-colour.png": png(WIDTH, HEIGHT, 8, 2, [row.tobytes() for row in np.asarray(whole)], key),
        "cmyk.jpg": encode(whole.convert("CMYK"), "JPEG"),
        "cmyk.tif": encode(whole.convert("CMYK"), "TIFF"),
        "grey.jpg": encode(whole.convert("L"), "JPEG"),
        "grey16.png": png(WIDTH, HEIGHT, 16, 0, rows),
        "grey16-key.png": png(WIDTH, HEIGHT, 16, 0, rows, key16),
        "grey16.tif": encode(Image.fromarray(wide), "TIFF"),
        "integers.tif": encode(grey([0, 32768, 65535], np.int32).resize((WIDTH, HEIGHT), 0), "TIFF"),
        "floats.tif": encode(Image.fromarray(wide.astype(np.float32) / 65535), "TIFF"),
        "bits.png": encode(whole.convert("1"), "PNG"),
        **turned,
    }


def with_alpha(read: Callable[[bytes, str], NDArray[np.uint8]]) -> set[str]:
    """Names of the images that `read` shows differently on white and on black."""
    found = odd_images()
    return {name for name, raw in found.items() if not np.array_equal(read(raw, "white"), read(raw, "black"))}


def _disc() -> NDArray[np.uint8]:
    """Opaque in the middle, faint around it, clear in the corners."""
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    return np.clip(255 * (1.4 - np.hypot(x, y)) / 0.7, 0, 255).astype(np.uint8)


def _premultiplied(image: Image.Image) -> bytes:
    """A TIFF whose colours are multiplied with their alpha."""
    raw = bytearray(encode(image, "TIFF"))
    tag = raw.find(struct.pack("<HHI", 338, 3, 1))  # ExtraSamples: 2 is alpha beside the colour, 1 alpha in it
    assert tag > 0
    struct.pack_into("<H", raw, tag + 8, 1)
    return bytes(raw)
