"""`full`, `full:float16`: the raw logits of every class, for small class counts and for runs that must equal on-stream ones.

In: float32 logits. Out: one array (classes,) a row. Raw logits rather than log-probabilities: both give the same distribution
at every temperature, and raw ones can be compared with the teacher bit for bit.
"""

from typing import Any

import numpy as np

from kdcache.codecs.codec import Field, Fields
from kdcache.codecs.dense import Dense
from kdcache.codecs.distribution import Logits
from kdcache.codecs.measure import logits_error


class Full(Dense):
    """All logits as float32 or float16."""

    @property
    def name(self) -> str:
        """`full` or `full:float16`"""
        return "full" if self._width == "float32" else f"full:{self._width}"

    def fields(self) -> tuple[Field, ...]:
        """One array of raw logits."""
        about = (("codec", self.name), ("meaning", "raw logits; probabilities are softmax(logits / temperature)"))
        return (Field(self.signal.name, self._dtype, self.signal.shape, attributes=about),)

    def decode(self, fields: Fields, out: Any = None) -> Logits:
        """Stored logits as float32, into `out` when given; float32 without `out` is not copied. Torch tensors stay tensors."""
        stored: Any = fields[self.signal.name]
        return Logits(super().decode(fields, out) if isinstance(stored, np.ndarray) else stored.float())

    def error(self, values: Any) -> dict[str, float]:
        """Largest error of a logit and of a probability, and KL(true || decoded) at temperatures 1, 2 and 4."""
        return logits_error(values, self.decode(self.encode(values)).values)
