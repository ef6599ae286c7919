"""Base class of the codecs that decode to distributions over classes, one per row or one per position."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kdcache.codecs.array_codec import finite
from kdcache.codecs.codec import Codec, Fields, Mask
from kdcache.signals.signal import Kind

if TYPE_CHECKING:
    import torch

SHOWN = 5
"""How many classes of a distribution are shown to people."""


class DistributionCodec(Codec):
    """A codec that decodes to distributions (distribution.py). It stores no arrays that a part has only once."""

    kinds: tuple[Kind, ...] = ("distribution",)

    def as_values(self, decoded: Any) -> "torch.Tensor":
        """Logits with the same distribution."""
        logits: torch.Tensor = decoded.as_logits()
        return logits

    def distance(self, fields: Fields, now: NDArray[Any], mask: Mask | None = None) -> NDArray[np.float64]:
        """Largest difference in the probability of a stored class. A row with NaN or infinity has infinite distance."""
        now, broken = finite(now)
        off = self.decode(fields).furthest(now)
        off = off if mask is None else off * mask
        return np.asarray(np.where(broken, np.inf, off.reshape(len(now), -1).max(-1, initial=0.0)))

    def with_lengths(self, values: Any, lengths: Any) -> Any:
        """The distribution with lengths: beyond the length of a row all probabilities are zero."""
        return replace(values, lengths=lengths)

    def at(self, values: Any, mask: Mask) -> Any:
        """The distributions at the selected positions, each as a row."""
        return values.at(mask)

    def up_to(self, values: Any, length: int) -> Any:
        """The distribution of the first row, cut to `length` positions."""
        return values.up_to(length)

    def plain(self, values: Any) -> Any:
        """The stored values of a distribution of one row."""
        return values.plain(0)

    def describe(self, values: Any, names: Sequence[str] | None = None) -> list[list[str]]:
        """The likeliest classes with their probabilities; for several positions, the likeliest class of each."""
        ids, shares = values.top(SHOWN)
        if ids.ndim == 2:
            pairs = zip(ids[0].tolist(), shares[0].tolist(), strict=True)
            return [[f"{share:7.2%}", *_class(number, names)] for number, share in pairs]
        firsts = zip(ids[0, :, 0].tolist(), shares[0, :, 0].tolist(), strict=True)
        return [[f"{place}", f"{share:7.2%}", *_class(number, names)] for place, (number, share) in enumerate(firsts)]


def _class(number: int, names: Sequence[str] | None) -> list[str]:
    return [f"{number}", names[number] if names and number < len(names) else ""]
