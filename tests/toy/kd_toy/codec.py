"""`three-bytes`: a number without the last of its four bytes.

In: float32. Out: one array of three bytes a number, the lowest first. What is cut off is less than 2^-15 of a number.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcache.codecs.array_codec import ArrayCodec
from kdcache.codecs.codec import Field, Fields
from kdcache.codecs.measure import refuse_non_finite
from kdcache.signals.signal import Kind, Signal


class ThreeBytes(ArrayCodec):
    """Every number of a map or a vector in three bytes."""

    form = "three-bytes"
    help = "every number in three bytes, of four"
    kinds: tuple[Kind, ...] = ("map", "vector")
    rounding = 2.0**-15  # 15 of the 23 bits behind the first are kept

    def __init__(self, signal: Signal) -> None:
        self.signal = signal

    def fields(self) -> tuple[Field, ...]:
        """One array, named like the signal."""
        about = (
            ("codec", self.form),
            ("meaning", "bytes 1 to 3 of a little-endian IEEE 754 single, whose byte 0 is 0"),
        )
        return (Field(self.signal.name, "|u1", (*self.signal.shape, 3), attributes=about, by_position=True),)

    def encode(self, values: Any) -> Fields:
        """Cut the lowest byte off."""
        refuse_non_finite(values, self.signal)
        single = np.ascontiguousarray(values.detach().cpu().numpy(), "<f4")
        cut = single.view("|u1").reshape(*single.shape, 4)[..., 1:]
        return {self.signal.name: np.ascontiguousarray(cut)}

    def decode(self, fields: Fields) -> NDArray[np.float32]:
        """Put a zero in its place."""
        stored = fields[self.signal.name]
        single = np.zeros((*stored.shape[:-1], 4), "|u1")
        single[..., 1:] = stored
        decoded: NDArray[np.float32] = single.view("<f4")[..., 0]
        return decoded
