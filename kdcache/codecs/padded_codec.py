"""Store signals whose rows differ in length with any codec: its fields, zero beyond each row's length, and the lengths.

In: `Padded` tensors, values (rows, positions, …) and lengths (rows,). Out: the fields of the codec, and `<signal>_length`, one
int32 a row. Rows stay fixed-width, so parts, blocks and streams work as usual. Values beyond a row's length are ignored: they
may be anything, even NaN, and every field with `by_position` stores zeros there.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kdcache.codecs.codec import Codec, Field, Fields, Mask
from kdcache.errors import Damage
from kdcache.signals.padded import Padded, present

if TYPE_CHECKING:
    import torch

SUFFIX = "_length"


class PaddedCodec(Codec):
    """Wraps another codec of the same signal, and stores the length of each row as well."""

    def __init__(self, inner: Codec) -> None:
        self.inner, self.signal = inner, inner.signal
        self.form, self.help, self.kinds = inner.form, inner.help, inner.kinds
        self.rowwise, self.rounding, self.imported = inner.rowwise, inner.rounding, inner.imported
        self._length = f"{inner.signal.name}{SUFFIX}"
        self._positions = inner.signal.shape[0]

    @property
    def name(self) -> str:
        """Name of the wrapped codec."""
        return self.inner.name

    @property
    def tolerance(self) -> float:
        """Tolerance of the wrapped codec."""
        return self.inner.tolerance

    def fields(self) -> tuple[Field, ...]:
        """The fields of the wrapped codec, and the lengths."""
        unit = self.signal.axes[0]
        about = (
            (
                "meaning",
                f"how many of the {self._positions} {unit}s of {self.signal.name} this row has; the others are zeros",
            ),
        )
        return (*self.inner.fields(), Field(self._length, "<i4", (), attributes=about))

    def encode(self, values: Padded) -> Fields:
        """Encode the values up to each row's length, and the lengths."""
        import torch

        lengths = torch.as_tensor(values.lengths).to(values.values.device)
        self._refuse_lengths(lengths.cpu().numpy(), f"the teacher emits {self.signal.name} with")
        there = present(lengths, self._positions)
        known = torch.where(_wide(there, values.values.ndim), values.values, 0)
        return self._blanked(self.inner.encode(known), lengths.cpu().numpy())

    def decode(self, fields: Fields) -> Padded:
        """Decode values and lengths. A distribution gets the lengths too, so that probabilities beyond them are zero."""
        lengths = self._lengths(fields)
        values = self.inner.decode(fields)
        return Padded(self.inner.with_lengths(values, lengths), lengths)

    def decode_into(self, fields: Fields, out: Padded) -> None:
        """Decode both into given rows."""
        out.lengths[...] = self._lengths(fields)
        self.inner.decode_into(fields, out.values)

    def _lengths(self, fields: Fields) -> Any:
        lengths: Any = fields[self._length]
        if not getattr(lengths, "is_cuda", False):  # reading lengths on the accelerator would make the host wait for it
            self._refuse_lengths(np.asarray(lengths), f"{self.name} of {self.signal.name} holds")
        return lengths

    def recode(self, decoded: Padded) -> Fields:
        """Encode what another codec decoded, with the same lengths."""
        return self._blanked(
            self.inner.recode(self.inner.with_lengths(decoded.values, None)), np.asarray(decoded.lengths)
        )

    def as_values(self, decoded: Padded) -> Any:
        """Decoded values and lengths in the form in which a teacher emits them."""
        import torch

        return Padded(
            self.inner.as_values(self.inner.with_lengths(decoded.values, None)),
            torch.from_numpy(np.array(decoded.lengths)),
        )

    def error(self, values: Padded) -> dict[str, float]:
        """Errors of the wrapped codec, measured over positions within the rows' lengths."""
        return self.compare(values, self.decode(self.encode(values)))

    def compare(self, values: "torch.Tensor | Padded", decoded: Padded) -> dict[str, float]:
        """Errors between original and decoded values, over positions within the rows' lengths."""
        assert isinstance(values, Padded), "rows of such a signal have lengths"
        there = np.asarray(decoded.mask())
        if not there.any():
            return {}
        return self.inner.compare(values.values[values.mask()], self.inner.at(decoded.values, there))

    def distance(self, fields: Fields, now: Any, mask: Mask | None = None) -> NDArray[np.float64]:
        """Distance by the wrapped codec, over positions within the lengths; infinite if a row's length differs."""
        lengths = np.asarray(fields[self._length])
        self._refuse_lengths(lengths, f"{self.name} of {self.signal.name} holds")
        there = present(lengths, self._positions)
        known = np.where(_wide(now.mask(), now.values.ndim), now.values, now.values.dtype.type(0))
        far = self.inner.distance(fields, known, there)
        return np.asarray(np.where(np.asarray(now.lengths) == lengths, far, np.inf))

    def plain(self, values: Padded) -> Any:
        """The values of one row, up to its length."""
        length = int(values.lengths[0])
        return {"length": length, "values": self.inner.plain(self.inner.up_to(values.values, length))}

    def describe(self, values: Padded, names: Sequence[str] | None = None) -> list[list[str]]:
        """The values of one row for people, preceded by its number of positions."""
        length = int(values.lengths[0])
        first = [f"{length} of {values.positions} {self.signal.axes[0]}s"]
        return [first, *(self.inner.describe(self.inner.up_to(values.values, length), names) if length else [])]

    def with_lengths(self, values: Any, lengths: Any) -> Any:
        """As the wrapped codec does it."""
        return self.inner.with_lengths(values, lengths)

    def at(self, values: Any, mask: Mask) -> Any:
        """As the wrapped codec does it."""
        return self.inner.at(values, mask)

    def up_to(self, values: Any, length: int) -> Any:
        """As the wrapped codec does it."""
        return self.inner.up_to(values, length)

    def _blanked(self, fields: Fields, lengths: NDArray[Any]) -> Fields:
        """The fields with zeros beyond each row's length, and the field of the lengths."""
        absent = ~present(lengths, self._positions)
        result = dict(fields)
        for field in self.inner.fields():
            if field.by_position and absent.any():
                array = fields[field.name] if fields[field.name].flags.writeable else fields[field.name].copy()
                array[absent] = 0
                result[field.name] = array
        return result | {self._length: lengths.astype("<i4")}

    def _refuse_lengths(self, lengths: NDArray[Any], who: str) -> None:
        wrong = np.flatnonzero((lengths < 0) | (lengths > self._positions)).tolist()
        if wrong:
            most = f"0 to {self._positions:,} {self.signal.axes[0]}s"
            message = f"{who} a length of {int(lengths[wrong[0]]):,}, but a row has {most}"
            raise Damage(message, hint="copy the cache again from its source, or build it again", rows=wrong)


def _wide(mask: Any, dimensions: int) -> Any:
    """Reshape a mask (rows, positions) with trailing axes of length one, so that it broadcasts over the values."""
    return mask.reshape(*mask.shape, *(1 for _ in range(dimensions - 2)))
