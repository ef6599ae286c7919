"""`full`, `full:float16`: the raw logits of all classes, for few classes or for runs that must equal on-stream runs.

In: float32 logits (rows, classes), or (rows, positions, classes). Out: one array of the same shape. Raw logits are stored rather
than log-probabilities: both give the same distribution at every temperature, but raw logits can be compared with the teacher's
bit by bit.
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
"""Up to this many classes, `full` is the default codec: it takes at most 64 bytes a row."""


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
        """`full` for signals with at most FEW_CLASSES classes."""
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
        """Stored logits as float32, without a copy if they are float32 already. Torch tensors stay tensors."""
        stored: Any = fields[self.signal.name]
        return Logits(self._width.decode(stored) if isinstance(stored, np.ndarray) else stored.float())

    def recode(self, decoded: Any) -> Fields:
        """Encode all logits at this width; UsageError if only some classes are stored."""
        if isinstance(decoded, TopK):
            message = f"{self.name} cannot be made from what is stored: it holds only {decoded.ids.shape[-1]} classes"
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
