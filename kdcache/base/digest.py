"""Digests: xxh3 for data that is hashed often, sha256 for the weights that identify a teacher."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray


def id_hash(image_id: str) -> int:
    """64-bit hash of an image id: the index looks ids up by it, and it seeds the image's random numbers."""
    return xxhash.xxh3_64_intdigest(image_id.encode("utf-8"))


def block_hash(data: Any) -> str:
    """xxh3-64 of a buffer as 16 hex digits: the checksum of one block of rows."""
    return xxhash.xxh3_64_hexdigest(data)


def pixel_digest(pixels: NDArray[np.uint8]) -> int:
    """32-bit digest of the exact pixels a teacher saw (the low half of xxh3-64, shape included)."""
    state = xxhash.xxh3_64(repr(pixels.shape).encode())
    state.update(np.ascontiguousarray(pixels).data)
    return state.intdigest() & 0xFFFFFFFF


def shown_digest(pixels: int, tokens: NDArray[np.int64]) -> int:
    """32-bit digest of everything a teacher was shown for one row: `pixels`, the digest of its pixels, and its token ids.

    For a teacher that is shown no tokens, the digest of a row is that of its pixels alone.
    """
    state = xxhash.xxh3_64(pixels.to_bytes(4, "little"))
    state.update(np.ascontiguousarray(tokens, "<i8").data)
    return state.intdigest() & 0xFFFFFFFF


def json_digest(value: Any) -> str:
    """xxh3-128 of a JSON value in canonical form: sorted keys, no spaces."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return xxhash.xxh3_128_hexdigest(canonical.encode())


def file_digest(path: Path) -> str:
    """xxh3-128 of a whole file."""
    state = xxhash.xxh3_128()
    with path.open("rb") as file:
        while chunk := file.read(1 << 22):
            state.update(chunk)
    return state.hexdigest()


def file_sha256(path: Path) -> str:
    """sha256 of a whole file: the identity of weights."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
