"""`full`, `full:float16`: the raw logits of every class, for small class counts and for runs that must equal on-stream ones.

In: float32 logits (rows, classes), or (rows, positions, classes). Out: one array of the same shape. Raw logits rather than
log-probabilities: both give the same distribution at every temperature, and raw ones can be compared with the teacher bit for
bit.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from kdcache.codecs.codec import Field, Fields
from kdcache.codecs.dense import Width
from kdcache.codecs.distribution import Logits, TopK
from kdcache.codecs.distribution_codec import DistributionCodec
from kdcache.codecs.measure import logits_error
from kdcache.errors import UsageError
from kdcache.signals.signal import Signal

if TYPE_CHECKING:
    import torch

FEW_CLASSES = 16
"""Up to as many classes all of them are kept when nobody says: 64 bytes a row at most."""


class Full(DistributionCodec):
    """All logits as float32."""

    form = "full"
    help = "logits: all of them as float32"
    aliases: tuple[str, ...] = ("exact", "float32")
    width = "float32"

    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        self._width = Width(signal, self.width)

    @classmethod
    def usual_for(cls, signal: Signal) -> str | None:
        """Where there is only a handful of classes."""
        few = cls.usable_for(signal) is None and signal.classes <= FEW_CLASSES
        return cls.form if few and cls.width == "float32" else None

    def fields(self) -> tuple[Field, ...]:
        """One array of raw logits."""
        meaning = ("meaning", "raw logits; probabilities are softmax(logits / temperature)")
        return (self._width.field(("codec", self.name), meaning),)

    def encode(self, values: Any) -> Fields:
        """Round to the chosen width."""
        return self._width.encode(values)

    def decode(self, fields: Fields) -> Logits:
        """Stored logits as float32, which float32 is without a copy. Torch tensors stay tensors."""
        stored: Any = fields[self.signal.name]
        return Logits(self._width.decode(stored) if isinstance(stored, np.ndarray) else stored.float())

    def recode(self, decoded: Any) -> Fields:
        """All logits in this width; refused where only some classes are known."""
        if isinstance(decoded, TopK):
            message = f"{self.name} cannot be made from what is stored: it holds {decoded.ids.shape[-1]} classes only"
            raise UsageError(message, hint="build it anew")
        return self.encode(decoded.as_logits())

    def compare(self, values: "torch.Tensor", decoded: Logits) -> dict[str, float]:
        """Largest error of a logit and of a probability, and KL(true || decoded) at temperatures 1, 2 and 4."""
        return logits_error(values, decoded.values)


class FullHalf(Full):
    """All logits as float16."""

    form = "full:float16"
    help = "logits: all of them as float16"
    aliases = ("float16",)
    rounding = 2.0**-11
    width = "float16"
