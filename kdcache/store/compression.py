"""Lossless compression of one block of rows: `zstd:LEVEL`, or `blosc:LEVEL` (LZ4 after a byte shuffle).

Zstandard makes smaller files, Blosc gives them back several times faster. Each compressor knows the names HDF5 and Zarr have
for it, so that both can read what is written here without this package.
"""

from typing import Any, Protocol

from kdcache.atomic import Buffer
from kdcache.errors import UsageError
from kdcache.figures import whole

LEVELS = {"zstd": range(1, 23), "blosc": range(1, 10)}


class Compressor(Protocol):
    """One way to make a block smaller and to get exactly its bytes back."""

    def encode(self, block: Buffer) -> bytes:
        """A block of rows -> what is stored."""

    def decode(self, stored: Buffer) -> bytes:
        """What is stored -> the block."""

    def hdf5_filter(self, block_bytes: int) -> tuple[int, tuple[int, ...]]:
        """Registered filter number and its values."""

    def zarr_codec(self) -> dict[str, Any]:
        """Entry of the Zarr v3 codec chain."""


class Zstd:
    """Zstandard frames with their content size."""

    def __init__(self, level: int) -> None:
        from numcodecs.zstd import Zstd as Codec

        self._level = level
        self._codec = Codec(level=level)

    def encode(self, block: Buffer) -> bytes:
        """Compress a block."""
        return bytes(self._codec.encode(block))

    def decode(self, stored: Buffer) -> bytes:
        """Decompress a block."""
        return bytes(self._codec.decode(stored))

    def hdf5_filter(self, block_bytes: int) -> tuple[int, tuple[int, ...]]:
        """The filter as HDF5 registers it."""
        return 32015, (self._level,)

    def zarr_codec(self) -> dict[str, Any]:
        """The codec as Zarr v3 names it."""
        return {"name": "zstd", "configuration": {"level": self._level, "checksum": False}}


class Blosc:
    """Blosc 1 buffers: LZ4 behind a shuffle of the bytes of each number."""

    def __init__(self, level: int, itemsize: int) -> None:
        from numcodecs.blosc import SHUFFLE
        from numcodecs.blosc import Blosc as Codec

        self._level, self._itemsize = level, itemsize
        self._codec = Codec(cname="lz4", clevel=level, shuffle=SHUFFLE)

    def encode(self, block: Buffer) -> bytes:
        """Compress a block."""
        import numpy as np

        return bytes(self._codec.encode(np.frombuffer(block, f"V{self._itemsize}")))

    def decode(self, stored: Buffer) -> bytes:
        """Decompress a block."""
        return bytes(self._codec.decode(stored))

    def hdf5_filter(self, block_bytes: int) -> tuple[int, tuple[int, ...]]:
        """The filter as HDF5 registers it."""
        version, format_version, shuffled, lz4 = 2, 2, 1, 1
        return 32001, (version, format_version, self._itemsize, block_bytes, self._level, shuffled, lz4)

    def zarr_codec(self) -> dict[str, Any]:
        """The codec as Zarr v3 names it."""
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
