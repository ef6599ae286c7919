"""`float32`, `float16`, `bfloat16`: every number of a signal, at full or half width.

In: float32 values. Out: one array a row of the signal's own shape. Half widths round to the nearest, ties to even. A value too
large for the chosen width is an error that names its channel: infinity is never stored.
"""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcache.codecs.codec import Field, Fields
from kdcache.codecs.distribution import TopK
from kdcache.codecs.measure import as_tensor, dense_error, reach, refuse_non_finite
from kdcache.errors import UsageError
from kdcache.signals.signal import Signal

DTYPES = {"float32": "<f4", "float16": "<f2", "bfloat16": "<u2"}
# From half a step above the largest value on, rounding to the nearest gives infinity.
ENDS = {"float16": (65504, 65520.0), "bfloat16": (2.0**128 * (1 - 2.0**-8), 2.0**128 * (1 - 2.0**-9))}
MEANING = {"bfloat16": "high 16 bits of an IEEE 754 single; append 16 zero bits to read"}


def describe(signal: Signal) -> tuple[tuple[str, str], ...]:
    """What a stranger needs to know of a signal's axes."""
    if signal.grid is None:
        return ()
    return (("grid", f"tokens are rows of a {signal.grid[0]} x {signal.grid[1]} grid (height x width), row by row"),)


class Dense:
    """All values of a signal as float32, float16 or bfloat16."""

    rowwise = True

    def __init__(self, signal: Signal, width: str) -> None:
        self.signal = signal
        self._width = width
        self._dtype = DTYPES[width]

    @property
    def name(self) -> str:
        """The width"""
        return self._width

    def fields(self) -> tuple[Field, ...]:
        """One array of the signal's shape."""
        meaning = MEANING.get(self._width)
        about = (("codec", self.name), *([("meaning", meaning)] if meaning else []), *describe(self.signal))
        return (Field(self.signal.name, self._dtype, self.signal.shape, attributes=about),)

    def encode(self, values: Any) -> Fields:
        """Round to the chosen width."""
        import torch

        self._refuse_overflow(values, refuse_non_finite(values, self.signal))
        kept = values.detach().to(getattr(torch, self._width))
        words = kept.view(torch.int16) if self._width == "bfloat16" else kept
        return {self.signal.name: words.cpu().contiguous().numpy().view(self._dtype)}

    def _refuse_overflow(self, values: Any, greatest: float) -> None:
        largest, infinite = ENDS.get(self._width, (np.inf, np.inf))
        if greatest < infinite:
            return
        highest = reach(values)
        channel = int((highest >= infinite).nonzero()[0])
        raise UsageError(
            f"{self.signal.name} channel {channel} reaches ±{float(highest[channel]):.6g}; {self._width} ends at {largest:.6g}",
            hint=f"store {self.signal.name} as {'bfloat16 or ' if self._width == 'float16' else ''}float32",
        )

    def decode(self, fields: Fields, out: NDArray[np.float32] | None = None) -> Any:
        """Stored values as float32, into `out` when given; float32 without `out` is not copied."""
        stored = fields[self.signal.name]
        if out is None and self._width == "float32":
            return stored
        result = np.empty(stored.shape, np.float32) if out is None else out
        if self._width == "bfloat16":
            bits = result.view(np.uint32)
            np.copyto(bits, stored)
            np.left_shift(bits, 16, out=bits)
        else:
            convert(stored, result)
        return result

    def recode(self, decoded: Any) -> Fields:
        """Decoded values, rounded to this width."""
        if isinstance(decoded, TopK):
            message = f"{self.name} cannot be made from what is stored: it holds {decoded.ids.shape[1]} classes only"
            raise UsageError(message, hint="build it anew")
        return self.encode(as_tensor(decoded))

    def error(self, values: Any) -> dict[str, float]:
        """Relative RMS, largest error, mean token cosine."""
        return dense_error(values, self.decode(self.encode(values)))


def convert(source: NDArray[Any], out: NDArray[Any]) -> None:
    """Copy with a change of dtype. Torch converts half floats 10 times as fast as numpy; where it is not loaded, numpy does.

    The values are the same either way: widening is exact, and both round to the nearest even.
    """
    torch = sys.modules.get("torch")
    if torch is None or source.dtype == out.dtype or not source.flags.writeable:
        np.copyto(out, source, casting="same_kind")
    else:
        torch.from_numpy(out).copy_(torch.from_numpy(source))
