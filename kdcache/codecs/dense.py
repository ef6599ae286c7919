"""`float32`, `float16`, `bfloat16`: every number of a signal, at full or half width.

In: float32 values. Out: one array of the signal's shape. Half widths round to nearest, ties to even. A value too large for the
chosen width raises an error that names its channel, so that infinity is never stored.
"""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcache.codecs.array_codec import ArrayCodec, describe_axes
from kdcache.codecs.codec import Field, Fields
from kdcache.codecs.measure import reach, refuse_non_finite
from kdcache.errors import UsageError
from kdcache.signals.signal import Kind, Signal

DTYPES = {"float32": "<f4", "float16": "<f2", "bfloat16": "<u2"}
# Values from half a step above the largest finite one on would be rounded to infinity.
ENDS = {"float16": (65504, 65520.0), "bfloat16": (2.0**128 * (1 - 2.0**-8), 2.0**128 * (1 - 2.0**-9))}


class Width:
    """Rounds the numbers of a signal to one width and widens them again."""

    def __init__(self, signal: Signal, width: str) -> None:
        self._signal, self._width, self._dtype = signal, width, DTYPES[width]

    def field(self, *about: tuple[str, str]) -> Field:
        """One array of the signal's shape."""
        return Field(self._signal.name, self._dtype, self._signal.shape, attributes=about, by_position=True)

    def encode(self, values: Any) -> Fields:
        """Round to nearest, ties to even; UsageError when a value is too large."""
        import torch

        self._refuse_overflow(values, refuse_non_finite(values, self._signal))
        kept = values.detach().to(getattr(torch, self._width))
        words = kept.view(torch.int16) if self._width == "bfloat16" else kept
        return {self._signal.name: words.cpu().contiguous().numpy().view(self._dtype)}

    def _refuse_overflow(self, values: Any, greatest: float) -> None:
        largest, infinite = ENDS.get(self._width, (np.inf, np.inf))
        if greatest < infinite:
            return
        highest = reach(values)
        channel = int((highest >= infinite).nonzero()[0])
        name = self._signal.name
        raise UsageError(
            f"{name} channel {channel} reaches ±{float(highest[channel]):.6g}; {self._width} ends at {largest:.6g}",
            hint=f"store {name} as {'bfloat16 or ' if self._width == 'float16' else ''}float32",
        )

    def decode(self, stored: NDArray[Any], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Stored values as float32, into `out` when given; float32 without `out` is not copied."""
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


class Float32(ArrayCodec):
    """All values of a signal as float32."""

    form = "float32"
    help = "every number at full width, also called exact"
    kinds: tuple[Kind, ...] = ("map", "vector")
    aliases: tuple[str, ...] = ("exact",)
    meaning: str | None = None
    """How to read a stored word, if the file format has no type for it (bfloat16)."""

    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        self._width = Width(signal, self.form)

    def fields(self) -> tuple[Field, ...]:
        """One array of the signal's shape."""
        meaning = [("meaning", self.meaning)] if self.meaning else []
        return (self._width.field(("codec", self.name), *meaning, *describe_axes(self.signal)),)

    def encode(self, values: Any) -> Fields:
        """Round to the chosen width."""
        return self._width.encode(values)

    def decode(self, fields: Fields) -> Any:
        """Stored values as float32, which float32 is without a copy."""
        return self._width.decode(fields[self.signal.name])

    def decode_into(self, fields: Fields, out: NDArray[np.float32]) -> None:
        """The same, without an array between."""
        self._width.decode(fields[self.signal.name], out)


class Float16(Float32):
    """All values of a signal as float16: half the bytes, with an error too small to matter to a student."""

    form = "float16"
    help = "every number at half width, ends at 65504"
    aliases = ()
    rounding = 2.0**-11  # half a step of a 10-bit mantissa

    @classmethod
    def usual_for(cls, signal: Signal) -> str | None:
        """Name of this codec where it is the default for the signal, else None."""
        return cls.form if cls.usable_for(signal) is None else None


class BFloat16(Float32):
    """All values of a signal as bfloat16."""

    form = "bfloat16"
    help = "every number at half width, full range, 3 digits"
    aliases = ()
    rounding = 2.0**-8  # half a step of a 7-bit mantissa
    meaning = "high 16 bits of an IEEE 754 single; append 16 zero bits to read"


def convert(source: NDArray[Any], out: NDArray[Any]) -> None:
    """Copy with a change of dtype. Uses torch if it is loaded, as it converts half floats 10 times as fast as numpy.

    Both give the same values: widening is exact, and both round to nearest even.
    """
    torch = sys.modules.get("torch")
    if torch is None or source.dtype == out.dtype or not source.flags.writeable:
        np.copyto(out, source, casting="same_kind")
    else:
        torch.from_numpy(out).copy_(torch.from_numpy(source))
