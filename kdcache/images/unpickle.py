"""Read the pickles of CIFAR without running code from them.

Input: the bytes of a pickle. Output: the dictionary in it. A pickle is a program; this reader gives it only containers, numbers,
strings and one kind of object, a uint8 array. Even that is built here from its shape and bytes, so no other code runs, whatever
the file contains.
"""

import io
import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcache.errors import Damage


class _Dtype:
    """Stands in for numpy.dtype and keeps its name."""

    def __init__(self, name: Any = None, *_: Any) -> None:
        self.name = name.decode("latin-1") if isinstance(name, bytes) else name

    def __setstate__(self, state: Any) -> None:
        """Ignore the state (byte order and alike), which is meaningless for a one-byte type."""


class _Array:
    """Stands in for numpy.ndarray and keeps its shape and bytes."""

    def __init__(self, *_: Any) -> None:
        self.pixels: NDArray[np.uint8] = np.empty(0, np.uint8)

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, columns_first, raw = state
        if not isinstance(dtype, _Dtype) or dtype.name not in ("u1", "|u1", "uint8"):
            raise pickle.UnpicklingError("it contains an array that is not uint8")
        flat = np.frombuffer(raw.encode("latin-1") if isinstance(raw, str) else raw, np.uint8)
        self.pixels = flat.reshape(shape, order="F" if columns_first else "C")


class _Bytes:
    """Stands in for the function with which protocol 2 writes bytes: as text and an encoding."""

    def __new__(cls, text: str, encoding: str) -> Any:
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"it contains bytes in {encoding}")
        return text.encode("latin-1")

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it contains bytes with a state")


_ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Bytes,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        admitted = _ADMITTED.get((module, name))
        if admitted is None:
            raise pickle.UnpicklingError(f"it contains a {module}.{name}, which is not allowed")
        return admitted

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to something outside")


def read_pickle(raw: bytes, where: str) -> dict[str, Any]:
    """The dictionary in a pickle, with text keys and uint8 arrays. Damage if it is or contains anything else."""
    try:
        found = _Reader(io.BytesIO(raw), encoding="bytes").load()
    except Exception as error:
        # a broken or hostile pickle raises nearly anything (EOFError, KeyError, IndexError, TypeError, MemoryError …)
        raise Damage(f"{where} is not a CIFAR file: {error}", hint="fetch it again from its publisher") from error
    if not isinstance(found, dict):
        raise Damage(f"{where} is not a CIFAR file: no dictionary in it", hint="fetch it again from its publisher")
    return {_text(key): value.pixels if isinstance(value, _Array) else value for key, value in found.items()}


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
