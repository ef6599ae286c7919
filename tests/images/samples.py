"""Small pictures in every format, tars, and pickles as Python 2 wrote them."""

import io
import struct
import tarfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

FORMATS = {
    "JPEG": {"quality": 90},
    "PNG": {},
    "GIF": {},
    "WEBP": {"lossless": True},
    "BMP": {},
    "TIFF": {},
    "PPM": {},
    "JPEG2000": {},
    "AVIF": {"quality": 90},
}
LOSSLESS = ("PNG", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000")
Packing = Literal["w:", "w:gz", "w:bz2", "w:xz"]


def picture(width: int = 48, height: int = 32, seed: int = 0) -> Image.Image:
    """A smooth coloured picture, different for every seed."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encode(image: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **{**FORMATS.get(form, {}), **options})
    return file.getvalue()


def jpeg(seed: int = 0) -> bytes:
    return encode(picture(seed=seed))


def grey(values: list[int], dtype: Any) -> Image.Image:
    """One row of grey values."""
    return Image.fromarray(np.array([values], dtype))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, rows: list[bytes], *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG put together by hand."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = [(b"IHDR", header), *extra, (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in chunks)


def write(path: Path, raw: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)
    return path


def pack(
    path: Path, members: Iterable[tuple[str, bytes]], mode: Packing = "w:", form: int = tarfile.PAX_FORMAT
) -> Path:
    """A tar of files, in the order given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode, format=form) as archive:
        for name, raw in members:
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            archive.addfile(info, io.BytesIO(raw))
    return path


def python2_pickle(record: dict[str, Any]) -> bytes:
    """A dictionary as Python 2 pickled it with protocol 2: byte strings, small integers, lists and uint8 tables."""
    body = b"".join(_p2(key) + _p2(value) for key, value in record.items())
    return b"\x80\x02}(" + body + b"u."


def _p2(value: Any) -> bytes:
    if isinstance(value, str):
        return b"T" + struct.pack("<i", len(value)) + value.encode()
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, list):
        return b"](" + b"".join(map(_p2, value)) + b"e"
    rows, columns = value.shape
    shell = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    raw = value.tobytes()
    state = (
        b"(K\x01" + _p2(rows) + _p2(columns) + b"\x86" + dtype + b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"
    )
    return shell + state
