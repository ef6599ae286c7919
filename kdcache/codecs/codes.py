"""`codes`: whole numbers stored exactly, in 1, 2 or 4 bytes depending on the vocabulary.

In: integers of any width, each 0 to vocabulary - 1. Out: one array of the signal's shape with 1, 2 or 4 bytes a number; decoded
as int64, the type that indexes an embedding table.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kdcache.codecs.array_codec import ArrayCodec, describe_axes
from kdcache.codecs.codec import Field, Fields, Mask
from kdcache.errors import Damage, UsageError
from kdcache.signals.signal import Signal

if TYPE_CHECKING:
    import torch

WIDTHS = {"|u1": 1 << 8, "<u2": 1 << 16, "<u4": 1 << 32}
"""Number of different codes that each numpy type can represent."""
SHOWN = 20
"""How many codes of a row are shown to people."""


class Codes(ArrayCodec):
    """Stores whole numbers exactly."""

    form = "codes"
    help = "whole numbers, exactly; 1 byte each up to 256 different ones, 2 up to 65,536, else 4"
    kinds = ("codes",)

    @classmethod
    def usual_for(cls, signal: Signal) -> str | None:
        """`codes` for every signal of kind codes."""
        return cls.form if cls.usable_for(signal) is None else None

    def __init__(self, signal: Signal) -> None:
        assert signal.vocabulary is not None, "a signal of codes has one"
        self.signal = signal
        self._vocabulary = signal.vocabulary
        self._dtype = next(dtype for dtype, most in WIDTHS.items() if signal.vocabulary <= most)

    def fields(self) -> tuple[Field, ...]:
        """One array of the signal's shape."""
        meaning = f"whole numbers, 0 to {self._vocabulary - 1}"
        about = (("codec", self.name), ("meaning", meaning), *describe_axes(self.signal))
        return (Field(self.signal.name, self._dtype, self.signal.shape, attributes=about, by_position=True),)

    def encode(self, values: Any) -> Fields:
        """Store integers in as few bytes as the vocabulary needs."""
        if values.is_floating_point() or values.is_complex():
            raise UsageError(
                f"{self.signal.name} is a signal of codes, but the teacher emits {str(values.dtype).removeprefix('torch.')}",
                hint="codes are whole numbers: emit an integer tensor, or declare another kind of signal",
            )
        whole = values.detach().cpu().long().numpy()
        self._refuse_unknown(whole, f"the teacher emits codes of {self.signal.name}", "check its vocabulary")
        return {self.signal.name: whole.astype(self._dtype)}

    def decode(self, fields: Fields) -> NDArray[np.int64]:
        """Stored codes as int64."""
        stored = np.asarray(fields[self.signal.name]).astype(np.int64)
        self._refuse_unknown(
            stored, f"{self.name} of {self.signal.name} holds numbers", "get the cache again, or build anew"
        )
        return stored

    def _refuse_unknown(self, whole: NDArray[np.int64], who: str, hint: str) -> None:
        if not whole.size or 0 <= whole.min() <= whole.max() < self._vocabulary:
            return
        outside = ((whole < 0) | (whole >= self._vocabulary)).reshape(len(whole), -1)
        rows = np.flatnonzero(outside.any(-1)).tolist()
        wrong = int(whole.reshape(len(whole), -1)[outside][0])
        raise Damage(
            f"{who} such as {wrong:,}, but its codes are 0 to {self._vocabulary - 1:,}",
            hint=hint,
            rows=rows,
        )

    def compare(self, values: "torch.Tensor", decoded: Any) -> dict[str, float]:
        """No errors: nothing is lost."""
        return {}

    def distance(self, fields: Fields, now: NDArray[Any], mask: Mask | None = None) -> NDArray[np.float64]:
        """Share of the codes in a row that differ."""
        other = (self.decode(fields) != now).astype(np.float64)
        count = np.full(len(now), other[0].size if len(other) else 1.0)
        if mask is not None:
            wide = mask.reshape(*mask.shape, *(1 for _ in now.shape[2:]))
            other, count = other * wide, np.broadcast_to(wide, other.shape).reshape(len(now), -1).sum(-1)
        return np.asarray(other.reshape(len(now), -1).sum(-1) / np.maximum(count, 1))

    def describe(self, values: Any, names: Sequence[str] | None = None) -> list[list[str]]:
        """The shape, and the first codes."""
        first = " ".join(map(str, values.reshape(-1)[:SHOWN].tolist()))
        return [[f"{'×'.join(map(str, values.shape))} codes: {first}{' …' if values.size > SHOWN else ''}"]]
