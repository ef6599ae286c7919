"""What every codec promises: a signal becomes fixed-width rows of bytes, and comes back."""

from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kdcache.signals.signal import Signal

Fields = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Field:
    """One array of a part: `rows x shape`, or just `shape` when it belongs to the part as a whole (int8 scales)."""

    name: str
    dtype: str
    """numpy name with byte order, always little-endian: `<u2`, `<f4`, `|i1` …"""
    shape: tuple[int, ...]
    per_part: bool = False
    attributes: tuple[tuple[str, str], ...] = ()
    """written beside the array so that it explains itself"""

    @property
    def row_bytes(self) -> int:
        """Bytes of one row (of the whole array, when it belongs to the part)."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize


class Codec(Protocol):
    """One way to write one signal."""

    signal: Signal

    @property
    def name(self) -> str:
        """How users write it: `topk:100`, `float16`, `int8` …"""

    @property
    def rowwise(self) -> bool:
        """True when a row's bytes depend on that row alone, so that batches may be encoded as they come."""

    def fields(self) -> tuple[Field, ...]:
        """The arrays it writes. The first is named like the signal."""

    def encode(self, values: Any) -> Fields:
        """float32 torch tensor (n, *signal.shape), any device -> arrays by field name, on the host.

        When not rowwise, `values` are all rows of a part.
        """

    def decode(self, fields: Fields) -> Any:
        """Arrays of any rows (per-part arrays whole) -> float32 values; for logits a `Distribution` (distribution.py)."""

    def recode(self, decoded: Any) -> Fields:
        """What another codec of the same signal decoded -> arrays, as `encode`. UsageError when that is not enough."""

    def error(self, values: Any) -> dict[str, float]:
        """Encode, decode and compare: measured errors by name, for the plan."""
