"""Lossless compression of one block of rows: `zstd:LEVEL`, or `blosc:LEVEL` (LZ4 after a byte shuffle).

Zstandard makes smaller files, Blosc decompresses several times faster. Each compressor knows its names in HDF5 and Zarr, so that
both can read the files without this package.
"""

import struct
from typing import Any, Protocol

from kdcache.base.atomic import Buffer
from kdcache.base.figures import whole
from kdcache.errors import UsageError

LEVELS = {"zstd": range(1, 23), "blosc": range(1, 10)}


class NotThatBlock(ValueError):
    """The stored bytes do not decompress to a block of the expected size."""


class Compressor(Protocol):
    """Lossless compression of one block."""

    def encode(self, block: Buffer) -> bytes:
        """Compress a block of rows into the bytes to store."""

    def decode(self, stored: Buffer, block: memoryview) -> None:
        """Decompress stored bytes into `block`; NotThatBlock, before memory is allocated, if they have another size."""

    def hdf5_filter(self, block_bytes: int) -> tuple[int, tuple[int, ...]]:
        """Number of the registered HDF5 filter, and its parameters."""

    def zarr_codec(self) -> dict[str, Any]:
        """Its entry in the Zarr v3 codec chain."""


class Zstd:
    """Zstandard frames that include their content size."""

    def __init__(self, level: int) -> None:
        from numcodecs.zstd import Zstd as Codec

        self._level = level
        self._codec = Codec(level=level)

    def encode(self, block: Buffer) -> bytes:
        """Compress a block."""
        return bytes(self._codec.encode(block))

    def decode(self, stored: Buffer, block: memoryview) -> None:
        """Decompress a block."""
        _refuse_other(_zstd_bytes(memoryview(stored).cast("B")), len(block))
        _decode(self._codec, stored, block)

    def hdf5_filter(self, block_bytes: int) -> tuple[int, tuple[int, ...]]:
        """Number of the registered HDF5 filter, and its parameters."""
        return 32015, (self._level,)

    def zarr_codec(self) -> dict[str, Any]:
        """Its entry in the Zarr v3 codec chain."""
        return {"name": "zstd", "configuration": {"level": self._level, "checksum": False}}


class Blosc:
    """Blosc 1 buffers: LZ4 after shuffling the bytes of the numbers."""

    def __init__(self, level: int, itemsize: int) -> None:
        from numcodecs.blosc import SHUFFLE
        from numcodecs.blosc import Blosc as Codec

        self._level, self._itemsize = level, itemsize
        self._codec = Codec(cname="lz4", clevel=level, shuffle=SHUFFLE)

    def encode(self, block: Buffer) -> bytes:
        """Compress a block."""
        import numpy as np

        return bytes(self._codec.encode(np.frombuffer(block, f"V{self._itemsize}")))

    def decode(self, stored: Buffer, block: memoryview) -> None:
        """Decompress a block."""
        _refuse_other(_blosc_bytes(memoryview(stored).cast("B"), self._itemsize), len(block))
        _decode(self._codec, stored, block)

    def hdf5_filter(self, block_bytes: int) -> tuple[int, tuple[int, ...]]:
        """Number of the registered HDF5 filter, and its parameters."""
        version, format_version, shuffled, lz4 = 2, 2, 1, 1
        return 32001, (version, format_version, self._itemsize, block_bytes, self._level, shuffled, lz4)

    def zarr_codec(self) -> dict[str, Any]:
        """Its entry in the Zarr v3 codec chain."""
        settings = {
            "cname": "lz4",
            "clevel": self._level,
            "shuffle": "shuffle",
            "typesize": self._itemsize,
            "blocksize": 0,
        }
        return {"name": "blosc", "configuration": settings}


def compressor(text: str, itemsize: int) -> Compressor:
    """The compressor of a layout for numbers of `itemsize` bytes."""
    name, _, level = text.partition(":")
    number = whole(level)
    if name not in LEVELS or number is None or number not in LEVELS[name]:
        known = " or ".join(f"{n}:{r.start}..{r.stop - 1}" for n, r in LEVELS.items())
        raise UsageError(f"unknown compression {text!r}", hint=f"write {known}")
    return Zstd(number) if name == "zstd" else Blosc(number, itemsize)


def _decode(codec: Any, stored: Buffer, block: memoryview) -> None:
    """Decompress a block whose header was checked, into memory of that size, so that the library allocates none."""
    try:
        codec.decode(stored, out=block)
    except (RuntimeError, ValueError) as error:
        raise NotThatBlock(f"it does not decompress: {error}") from error


def _refuse_other(found: int | None, nbytes: int) -> None:
    if found is None:
        raise NotThatBlock("it is not compressed as the plan requires")
    if found != nbytes:
        raise NotThatBlock(f"it would decompress to {found:,} bytes, a block has {nbytes:,}")


def _zstd_bytes(frame: memoryview) -> int | None:
    """The content size in a Zstandard frame (RFC 8878, 3.1.1.1); None if it has none, or is not a frame."""
    if len(frame) < 6 or bytes(frame[:4]) != b"\x28\xb5\x2f\xfd":
        return None
    described = frame[4]
    one_segment, width = bool(described & 0x20), (0, 2, 4, 8)[described >> 6]
    width = width or int(one_segment)
    start = 5 + (not one_segment) + (0, 1, 2, 4)[described & 3]
    if not width or len(frame) < start + width:
        return None
    return int.from_bytes(frame[start : start + width], "little") + (256 if width == 2 else 0)


def _blosc_bytes(buffer: memoryview, itemsize: int) -> int | None:
    """The content size of a Blosc 1 buffer; None if its header does not fit numbers of that size."""
    if len(buffer) < 16 or buffer[0] != 2 or buffer[3] != itemsize:
        return None
    nbytes, _, compressed = struct.unpack_from("<III", buffer, 4)
    return nbytes if compressed == len(buffer) else None
