"""Base class of the codecs that decode to plain arrays, for maps, vectors and codes."""

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
"""Smallest length that `distance` divides by, so that a row of zeros has a finite distance."""


def describe_axes(signal: Signal) -> tuple[tuple[str, str], ...]:
    """Attributes that explain a signal's axes to readers of the file who do not know kd."""
    if signal.grid is None:
        return ()
    return (("grid", f"tokens are rows of a {signal.grid[0]} x {signal.grid[1]} grid (height x width), row by row"),)


class ArrayCodec(Codec):
    """A codec whose values are arrays of the signal's own shape."""

    def recode(self, decoded: Any) -> Fields:
        """Encode the values that another codec decoded."""
        return self.encode(as_tensor(decoded))

    def as_values(self, decoded: Any) -> "torch.Tensor":
        """The decoded array as a tensor."""
        return as_tensor(decoded)

    def compare(self, values: "torch.Tensor", decoded: Any) -> dict[str, float]:
        """Relative RMS error, largest error and mean cosine per token."""
        return dense_error(values, decoded)

    def distance(self, fields: Fields, now: NDArray[Any], mask: Mask | None = None) -> NDArray[np.float64]:
        """Length of the difference, relative to that of the stored row. A row with NaN or infinity has infinite distance."""
        stored, now, broken = self.decode(fields).astype(np.float64), *finite(now)
        beyond = np.maximum(np.abs(stored - now) - self._allowed(fields), 0.0)
        if mask is not None:
            wide = mask.reshape(*mask.shape, *(1 for _ in now.shape[2:]))
            beyond, stored = beyond * wide, stored * wide
        off, length = (np.linalg.norm(each.reshape(len(now), -1), axis=-1) for each in (beyond, stored))
        return np.asarray(np.where(broken, np.inf, off / np.maximum(length, SHORTEST)))

    def _allowed(self, fields: Fields) -> Any:
        """How much a value may differ from the stored one without counting as different: 0 unless a codec overrides this."""
        return 0.0

    def with_lengths(self, values: Any, lengths: Any) -> Any:
        """The array unchanged, because its lengths are kept separately."""
        return values

    def at(self, values: Any, mask: Mask) -> Any:
        """The values at the positions that `mask` selects."""
        return values[mask]

    def up_to(self, values: Any, length: int) -> Any:
        """The first `length` positions of the first row, without the row axis."""
        return values[0, :length]

    def plain(self, values: Any) -> Any:
        """The numbers as nested lists."""
        return values.tolist()

    def describe(self, values: Any, names: Sequence[str] | None = None) -> list[list[str]]:
        """The shape, and mean, spread and range of the numbers."""
        shape = "×".join(str(n) for n in values.shape)
        if not values.size:
            return [[f"{shape}: nothing"]]
        spread = f"mean {values.mean():.4g}, std {values.std():.4g}, min {values.min():.4g}, max {values.max():.4g}"
        return [[f"{shape}: {spread}"]]


def finite(now: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The rows with NaN or infinite ones replaced by zeros, and a mask of those rows."""
    broken = ~np.isfinite(now).reshape(len(now), -1).all(-1)
    return np.where(broken.reshape(-1, *(1 for _ in now.shape[1:])), now.dtype.type(0), now), broken
