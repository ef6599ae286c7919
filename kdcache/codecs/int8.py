"""`int8`: one byte per number, and one scale per channel and part.

In: all rows of a part, float32. Out: one array of the signal's shape in signed bytes, and `<signal>_scale`, one float32 for each
channel (the last axis), shared by the rows of the part. value = byte * scale, so no error exceeds half the channel's scale.
There is no single scale for all channels, because a few outlier channels would leave only a few levels for the others.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcache.codecs.array_codec import ArrayCodec, describe_axes
from kdcache.codecs.codec import Field, Fields
from kdcache.codecs.dense import convert
from kdcache.codecs.measure import channels, chunks, reach, refuse_non_finite, rows_of_chunk
from kdcache.errors import UsageError
from kdcache.signals.signal import Kind, Signal

LEVELS = 127
HALF_MAX = 65504.0
SMALLEST = float(np.finfo(np.float32).tiny)


class Int8(ArrayCodec):
    """Symmetric 8-bit values, scaled per channel."""

    form = "int8"
    help = "a byte a number, one scale a channel and part"
    kinds: tuple[Kind, ...] = ("map", "vector")
    rowwise = False
    rounding = 0.03  # measured: the worst channels seen, for a row that was converted to another codec afterwards

    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        self._scale = f"{signal.name}_scale"

    @property
    def tolerance(self) -> float:
        """0: when this codec is stored, `distance` already allows for the rounding, which it knows from the scales."""
        return 0.0

    def fields(self) -> tuple[Field, ...]:
        """The array of bytes, and the scales of the part."""
        about = (
            ("codec", self.name),
            ("meaning", f"value = byte * {self._scale}[channel]"),
            *describe_axes(self.signal),
        )
        scales = (
            ("meaning", f"one scale for each channel (last axis) of {self.signal.name}, for all rows of this part"),
        )
        return (
            Field(self.signal.name, "|i1", self.signal.shape, attributes=about, by_position=len(self.signal.shape) > 1),
            Field(self._scale, "<f4", self.signal.shape[-1:], per_part=True, attributes=scales),
        )

    def encode(self, values: Any) -> Fields:
        """Encode all rows of a part as bytes and scales. A channel of zeros gets scale 0."""
        import torch

        refuse_non_finite(values, self.signal)
        highest = reach(values)
        # A subnormal scale has too few digits: errors could exceed half a step.
        scale = torch.where(highest > 0, (highest / LEVELS).clamp(min=SMALLEST), 0.0)
        divisor = torch.where(scale > 0, scale, 1.0)
        flat = channels(values)
        coded = torch.empty(flat.shape, dtype=torch.int8)
        for rows in chunks(flat):
            coded[rows] = (flat[rows] / divisor).round_().to(torch.int8).cpu()
        return {self.signal.name: coded.view(values.shape).numpy(), self._scale: scale.cpu().numpy()}

    def decode(self, fields: Fields) -> NDArray[np.float32]:
        """Decode bytes and scales, as float32."""
        result = np.empty(fields[self.signal.name].shape, np.float32)
        self.decode_into(fields, result)
        return result

    def decode_into(self, fields: Fields, out: NDArray[Any]) -> None:
        """The same, into a contiguous float32 or float16 array."""
        coded, scale = fields[self.signal.name], fields[self._scale]
        assert out.flags.c_contiguous, "reshaping a strided array would copy it"
        flat, target = coded.reshape(-1, coded.shape[-1]), out.reshape(-1, coded.shape[-1])
        if target.dtype == np.float32:
            for rows in chunks(flat):
                _scaled(flat[rows], scale, target[rows])
            return
        self._refuse_overflow(scale)
        spare = np.empty((min(len(flat), rows_of_chunk(flat)), flat.shape[1]), np.float32)
        for rows in chunks(flat):
            convert(_scaled(flat[rows], scale, spare[: len(flat[rows])]), target[rows])

    def _refuse_overflow(self, scale: NDArray[np.float32]) -> None:
        highest = float(scale.max(initial=0)) * LEVELS
        if highest > HALF_MAX:
            raise UsageError(
                f"{self.signal.name} reaches {highest:.6g} and does not fit into float16", hint="read it as float32"
            )

    def _allowed(self, fields: Fields) -> Any:
        """Half of each channel's scale: a byte stands for every value within that distance."""
        return fields[self._scale] / 2


def _scaled(coded: NDArray[np.int8], scale: NDArray[np.float32], out: NDArray[np.float32]) -> NDArray[np.float32]:
    """Widen, then multiply in place: five times as fast as one int8-by-float32 multiply, which converts value by value."""
    convert(coded, out)
    out *= scale
    return out
