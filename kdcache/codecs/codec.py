"""What every codec declares and does: a signal becomes fixed-width rows of bytes, and comes back.

A codec is one class in one file. It says how users write it, which signals it takes, what it stores, how much it may change, how
a re-check measures that, and how a row is printed; whoever lists, estimates, verifies or prints asks it. Most derive from
`ArrayCodec` or `DistributionCodec`, which know the part that follows from the kind of values. A file in this folder is found by
being there; one of another package by the entry point group `kd.codecs`.
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
    """Attributes written beside the array, so that the file explains itself."""
    by_position: bool = False
    """Whether its first axis is that of the signal: where rows differ in length, it is then zero beyond each row's own."""

    @property
    def row_bytes(self) -> int:
        """Bytes of one row (of the whole array, when it belongs to the part)."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize


class Codec(ABC):
    """One way to write one signal. Made as `cls(signal)`, or `cls(signal, number)` where its form has one.

    A codec that stores two halves of a vector is this, and the two methods that its base class requests:

        class Halves(ArrayCodec):
            form = "halves"
            help = "every number at half width"
            kinds = ("vector", "map")
            rounding = 2.0**-11
    """

    form: str
    """How users write it: `float16`, or `topk:K` where a whole number belongs to it."""
    help: str
    """What it stores, in one line of a list."""
    kinds: tuple[Kind, ...]
    """The kinds of signals it takes."""
    aliases: tuple[str, ...] = ()
    """Other words for it, for signals that it takes."""
    rowwise: bool = True
    """Whether a row's bytes depend on that row alone, so that batches may be encoded as they come."""
    rounding: float = 0.0
    """How far a decoded row may be from the one that was encoded, as `distance` measures it."""
    imported: bool = False
    """Whether it keeps records of other programs as they are: what a teacher emits cannot be stored in it."""

    signal: Signal

    @classmethod
    def takes_number(cls) -> bool:
        """Whether a whole number belongs to its name."""
        return cls.form.endswith(":K")

    @classmethod
    def usable_for(cls, signal: Signal) -> str | None:
        """Why it cannot store a signal, as the end of a sentence that begins with its name; None where it can."""
        if signal.kind in cls.kinds:
            return None
        return f"is for signals of kind {' or '.join(cls.kinds)}, and {signal.name} is of kind {signal.kind}"

    @classmethod
    def usual_for(cls, signal: Signal) -> str | None:
        """The name under which it is used for a signal when nobody chooses a codec; None where another codec is better."""
        return None

    @classmethod
    def choices_for(cls, signal: Signal) -> tuple[str, ...]:
        """The names that an estimate compares for a signal it can store."""
        return () if cls.takes_number() else (cls.form,)

    @property
    def name(self) -> str:
        """How users write this one, its number included: `topk:100`, `float16`, `int8` …"""
        return self.form

    @property
    def tolerance(self) -> float:
        """The distance that a re-check allows for what it changed, where it is the codec that is stored. A codec whose
        `distance` already leaves out what it may have changed allows nothing."""
        return self.rounding

    @property
    def row_bytes(self) -> int:
        """Bytes of one row, without what belongs to a part as a whole."""
        return sum(field.row_bytes for field in self.fields() if not field.per_part)

    @abstractmethod
    def fields(self) -> tuple[Field, ...]:
        """The arrays it writes. The first is named like the signal, the others begin with its name."""

    @abstractmethod
    def encode(self, values: Any) -> Fields:
        """Torch tensor (n, *signal.shape) of `signal.dtype`, any device -> arrays by field name, on the host.

        When not rowwise, `values` are all rows of a part. Damage, with `rows`, for values that must never be stored.
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
        """What another codec of the same signal decoded -> arrays, as `encode`. UsageError when that is not enough."""

    @abstractmethod
    def as_values(self, decoded: Any) -> "torch.Tensor":
        """What it decoded, as values that a teacher might have emitted."""

    @abstractmethod
    def compare(self, values: "torch.Tensor", decoded: Any) -> dict[str, float]:
        """Errors by name between values and what was decoded of them: any number of rows, or of positions of rows."""

    @abstractmethod
    def distance(self, fields: Fields, now: NDArray[Any], mask: Mask | None = None) -> NDArray[np.float64]:
        """How far each row of `now` is from what is stored of it. `mask` (rows, positions): the positions that count."""

    @abstractmethod
    def with_lengths(self, values: Any, lengths: Any) -> Any:
        """Decoded values that know how many positions each row has (rows,); None: all of them."""

    @abstractmethod
    def at(self, values: Any, mask: Mask) -> Any:
        """Decoded values at the positions of a mask (rows, positions), one a row."""

    @abstractmethod
    def up_to(self, values: Any, length: int) -> Any:
        """The first positions of the first decoded row, as `plain` and `describe` take them."""

    @abstractmethod
    def plain(self, values: Any) -> Any:
        """The values of one row, or of one position of it, as JSON."""

    @abstractmethod
    def describe(self, values: Any, names: Sequence[str] | None = None) -> list[list[str]]:
        """The values of one row, or of one position of it, as lines of cells for people. `names`: those of the classes."""

    def error(self, values: Any) -> dict[str, float]:
        """Encode, decode and compare: measured errors by name, for the plan."""
        return self.compare(values, self.decode(self.encode(values)))


@contextmanager
def naming_rows(rows: Sequence[int] | NDArray[Any]) -> Iterator[None]:
    """Damage of rows that were handed over together names the first of them as the dataset numbers it."""
    try:
        yield
    except Damage as error:
        places = error.details.get("rows")
        if not places:
            raise
        wrong = [int(rows[place]) for place in places]
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise Damage(f"row {wrong[0]}{more}: {error.message}", hint=error.hint, rows=wrong) from error
