"""The contract of a codec, which encodes a signal as fixed-width rows of bytes and decodes it again.

A codec is one class in one file. It declares its name, the signals it takes, the fields it stores, how much it may change
values, how a later check measures that, and how a row is printed; listing, estimating, verifying and printing all use these
declarations. Most codecs derive from `ArrayCodec` or `DistributionCodec`, which implement what follows from the kind of values.
A codec is found because its file is in this folder, or through the entry point group `kd.codecs` of another package.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kdcache.errors import Damage
from kdcache.signals.signal import Kind, Signal

if TYPE_CHECKING:
    import torch

Fields = dict[str, NDArray[Any]]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Field:
    """One array of a part: `rows x shape`, or just `shape` when it belongs to the part as a whole (int8 scales)."""

    name: str
    dtype: str
    """Numpy name with byte order, always little-endian: `<u2`, `<f4`, `|i1` …"""
    shape: tuple[int, ...]
    per_part: bool = False
    attributes: tuple[tuple[str, str], ...] = ()
    """Attributes stored with the array, so that the file explains itself."""
    by_position: bool = False
    """Whether the first axis after the rows is that of positions: if rows differ in length, it is zero beyond each."""

    @property
    def row_bytes(self) -> int:
        """Bytes of one row (of the whole array, when it belongs to the part)."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize


class Codec(ABC):
    """One way to store one signal. Constructed as `cls(signal)`, or as `cls(signal, number)` if its form has a number.

    A codec that stores every number as float16 looks like this, plus `fields`, `encode` and `decode`:

        class Halves(ArrayCodec):
            form = "halves"
            help = "every number at half width"
            kinds = ("vector", "map")
            rounding = 2.0**-11
    """

    form: str
    """The name as users write it: `float16`, or `topk:K` when it has a whole number."""
    help: str
    """What it stores, as one line for the list of codecs."""
    kinds: tuple[Kind, ...]
    """The kinds of signals it takes."""
    aliases: tuple[str, ...] = ()
    """Other names that users may write for it."""
    rowwise: bool = True
    """Whether a row's bytes depend on that row alone, so that batches may be encoded as they come."""
    rounding: float = 0.0
    """Largest `distance` that encoding and decoding may cause."""
    imported: bool = False
    """Whether it only keeps records imported from other programs; a teacher's signals cannot be stored with it."""

    signal: Signal

    @classmethod
    def takes_number(cls) -> bool:
        """Whether its name includes a whole number, as `topk:K` does."""
        return cls.form.endswith(":K")

    @classmethod
    def usable_for(cls, signal: Signal) -> str | None:
        """Why it cannot store a signal, worded to follow its name ("codec int8 …"); None if it can."""
        if signal.kind in cls.kinds:
            return None
        return f"is for signals of kind {' or '.join(cls.kinds)}, and {signal.name} is of kind {signal.kind}"

    @classmethod
    def usual_for(cls, signal: Signal) -> str | None:
        """Its full name if it is the default codec for this signal; None if it is not."""
        return None

    @classmethod
    def choices_for(cls, signal: Signal) -> tuple[str, ...]:
        """Its variants that an estimate compares, by name, for a signal it can store."""
        return () if cls.takes_number() else (cls.form,)

    @property
    def name(self) -> str:
        """The name with its number, as users write it: `topk:100`, `float16`, `int8` …"""
        return self.form

    @property
    def tolerance(self) -> float:
        """The distance that `kd cache verify` allows for the rounding of the stored codec. It is 0 for a codec whose
        `distance` already ignores its own rounding."""
        return self.rounding

    @property
    def row_bytes(self) -> int:
        """Bytes of one row, without the arrays that a part has only once."""
        return sum(field.row_bytes for field in self.fields() if not field.per_part)

    @abstractmethod
    def fields(self) -> tuple[Field, ...]:
        """The arrays it stores. The first has the signal's name; the names of the others begin with it."""

    @abstractmethod
    def encode(self, values: Any) -> Fields:
        """Encode a torch tensor (n, *signal.shape) of `signal.dtype`, on any device, into numpy arrays by field name.

        If the codec is not rowwise, `values` must be all rows of a part. Raises Damage, which names the `rows`, for values
        that must never be stored (NaN, infinity).
        """

    @abstractmethod
    def decode(self, fields: Fields) -> Any:
        """Arrays of any rows (per-part arrays whole) -> values. Damage, with `rows` where it is known of which, for bytes that it
        never wrote."""

    def decode_into(self, fields: Fields, out: Any) -> None:
        """The same, into rows such as `empty_rows` gives. Only of codecs that decode to arrays; override it to save a copy."""
        out[...] = self.decode(fields)

    @abstractmethod
    def recode(self, decoded: Any) -> Fields:
        """Encode what another codec of the same signal decoded; UsageError when that does not contain enough."""

    @abstractmethod
    def as_values(self, decoded: Any) -> "torch.Tensor":
        """Decoded values in the form in which a teacher emits them."""

    @abstractmethod
    def compare(self, values: "torch.Tensor", decoded: Any) -> dict[str, float]:
        """Errors, by name of the measure, between original and decoded values; the first axis is rows or positions."""

    @abstractmethod
    def distance(self, fields: Fields, now: NDArray[Any], mask: Mask | None = None) -> NDArray[np.float64]:
        """Distance of each row of `now` from the stored row. `mask` (rows, positions): the positions to compare."""

    @abstractmethod
    def with_lengths(self, values: Any, lengths: Any) -> Any:
        """Decoded values with the number of positions of each row attached; None: every row has all positions."""

    @abstractmethod
    def at(self, values: Any, mask: Mask) -> Any:
        """Decoded values at the positions that a mask (rows, positions) selects, each position as a row."""

    @abstractmethod
    def up_to(self, values: Any, length: int) -> Any:
        """The first `length` positions of the first decoded row, in the form that `plain` and `describe` take."""

    @abstractmethod
    def plain(self, values: Any) -> Any:
        """The values of one row, or of one position, as JSON values."""

    @abstractmethod
    def describe(self, values: Any, names: Sequence[str] | None = None) -> list[list[str]]:
        """The values of one row, or of one position, as table lines for people. `names`: the class names."""

    def error(self, values: Any) -> dict[str, float]:
        """Encode, decode and compare: measured errors by name, for the plan."""
        return self.compare(values, self.decode(self.encode(values)))


@contextmanager
def naming_rows(rows: Sequence[int] | NDArray[Any]) -> Iterator[None]:
    """Reword Damage raised in the block, so that it names the first bad row by its number in the dataset."""
    try:
        yield
    except Damage as error:
        places = error.details.get("rows")
        if not places:
            raise
        wrong = [int(rows[place]) for place in places]
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise Damage(f"row {wrong[0]}{more}: {error.message}", hint=error.hint, rows=wrong) from error
