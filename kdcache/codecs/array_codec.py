"""What all codecs share that decode to plain arrays: maps, vectors and codes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kdcache.codecs.codec import Codec, Fields, Mask
from kdcache.codecs.measure import as_tensor, dense_error
from kdcache.signals.signal import Signal

if TYPE_CHECKING:
    import torch

SHORTEST = 1e-12
"""Length that a row of zeros is taken to have, so that its distance is a number."""


def describe_axes(signal: Signal) -> tuple[tuple[str, str], ...]:
    """What a stranger needs to know of a signal's axes."""
    if signal.grid is None:
        return ()
    return (("grid", f"tokens are rows of a {signal.grid[0]} x {signal.grid[1]} grid (height x width), row by row"),)


class ArrayCodec(Codec):
    """A codec whose values are arrays of the signal's own shape."""

    def recode(self, decoded: Any) -> Fields:
        """Decoded values, encoded anew."""
        return self.encode(as_tensor(decoded))

    def as_values(self, decoded: Any) -> "torch.Tensor":
        """The same values as a tensor."""
        return as_tensor(decoded)

    def compare(self, values: "torch.Tensor", decoded: Any) -> dict[str, float]:
        """Relative RMS, largest error, mean token cosine."""
        return dense_error(values, decoded)

    def distance(self, fields: Fields, now: NDArray[Any], mask: Mask | None = None) -> NDArray[np.float64]:
        """Length of the difference as a share of the row's own. A row with NaN or infinity is infinitely far."""
        stored, now, broken = self.decode(fields).astype(np.float64), *finite(now)
        beyond = np.maximum(np.abs(stored - now) - self._allowed(fields), 0.0)
        if mask is not None:
            wide = mask.reshape(*mask.shape, *(1 for _ in now.shape[2:]))
            beyond, stored = beyond * wide, stored * wide
        off, length = (np.linalg.norm(each.reshape(len(now), -1), axis=-1) for each in (beyond, stored))
        return np.asarray(np.where(broken, np.inf, off / np.maximum(length, SHORTEST)))

    def _allowed(self, fields: Fields) -> Any:
        """How far a value may be from the stored one without being another: nothing, unless a codec knows better."""
        return 0.0

    def with_lengths(self, values: Any, lengths: Any) -> Any:
        """The same array: its lengths stand beside it."""
        return values

    def at(self, values: Any, mask: Mask) -> Any:
        """The same positions."""
        return values[mask]

    def up_to(self, values: Any, length: int) -> Any:
        """The same positions, without the axis of rows."""
        return values[0, :length]

    def plain(self, values: Any) -> Any:
        """The numbers, nested as they are."""
        return values.tolist()

    def describe(self, values: Any, names: Sequence[str] | None = None) -> list[list[str]]:
        """The shape, and what numbers these are."""
        shape = "×".join(str(n) for n in values.shape)
        if not values.size:
            return [[f"{shape}: nothing"]]
        spread = f"mean {values.mean():.4g}, std {values.std():.4g}, min {values.min():.4g}, max {values.max():.4g}"
        return [[f"{shape}: {spread}"]]


def finite(now: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Rows with zeros in place of those that hold NaN or infinity, and which those are."""
    broken = ~np.isfinite(now).reshape(len(now), -1).all(-1)
    return np.where(broken.reshape(-1, *(1 for _ in now.shape[1:])), now.dtype.type(0), now), broken
