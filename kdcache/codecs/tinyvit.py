"""`tinyvit:K`: the records of an imported TinyViT logits folder, byte for byte.

A record is an int32 seed of TinyViT's augmentation, K int16 class numbers and K float16 probabilities. Encoding them in another
way would round them again, so they are kept unchanged, and an export gives back the same bytes. The probabilities are those of
temperature 1, so the tail is not known at any other temperature.
"""

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from kdcache.codecs.codec import Field, Fields
from kdcache.codecs.distribution import TopK, check_classes
from kdcache.codecs.distribution_codec import DistributionCodec
from kdcache.errors import UsageError
from kdcache.signals.signal import Signal

if TYPE_CHECKING:
    import torch

WORD = "<u2"
SEED_WORDS = 2
MOST_CLASSES = 1 << 15


class TinyVitCodec(DistributionCodec):
    """Imported records, 4 K + 4 bytes a row. It only decodes: a teacher's logits are stored with `topk:K`."""

    form = "tinyvit:K"
    help = "logits: records of an imported TinyViT folder, as they are"
    imported = True

    @classmethod
    def usable_for(cls, signal: Signal) -> str | None:
        """Why it cannot store a signal: it takes only those with one distribution per row, like TinyViT's records."""
        if signal.kind in cls.kinds and not signal.names_classes:
            return f"holds one distribution a row, but {signal.name} has one at each {signal.axes[0]}"
        return super().usable_for(signal)

    def __init__(self, signal: Signal, k: int) -> None:
        self._classes = signal.classes
        if self._classes > MOST_CLASSES or k > self._classes:
            raise UsageError(
                f"tinyvit:{k} does not suit {signal.name} of {self._classes} classes",
                hint=f"K is at most the number of classes, which is at most {MOST_CLASSES} (signed 16-bit numbers)",
            )
        self.signal = signal
        self.k = k

    @property
    def name(self) -> str:
        """`tinyvit:K`"""
        return f"tinyvit:{self.k}"

    def fields(self) -> tuple[Field, ...]:
        """One packed field: a record as in TinyViT's files."""
        k = self.k
        about = (
            ("codec", self.name),
            ("classes", str(self._classes)),
            ("words", f"0..1 seed; {SEED_WORDS}..{k + 1} ids; {k + 2}..{2 * k + 1} probabilities"),
            ("seed", "seed of TinyViT's own augmentation of this view: low word, high word of an int32"),
            ("ids", "class numbers as int16"),
            ("probabilities", "float16 bits, at temperature 1"),
        )
        return (Field(self.signal.name, WORD, (SEED_WORDS + 2 * k,), attributes=about),)

    def encode(self, values: Any) -> NoReturn:
        """Always refused: there would be no seed to write, and TinyViT's rounding is coarser than that of `topk:K`."""
        raise UsageError(
            f"{self.name} is for imported records only; a build cannot store signals with it",
            hint=f"build with topk:{self.k}, then export",
        )

    def decode(self, fields: Fields) -> TopK:
        """Decode records. If the rounded probabilities of a row sum to more than 1, its tail is zero, never negative."""
        words = fields[self.signal.name]
        ids, p = split(words, self.k)
        check_classes(ids, self._classes, self.name)
        p32 = p.astype(np.float32)
        head = p32.sum(-1, keepdims=True)
        # A row without a record is all zeros: it decodes to zero probabilities instead of NaN.
        p32 = np.where(head > 0, p32, np.float32(1 / self._classes))
        tail = np.maximum(1 - head, 0) if self.k < self._classes else np.zeros_like(head)
        with np.errstate(divide="ignore", invalid="ignore"):
            return TopK(ids.astype(np.int64), np.log(p32), np.log(tail / np.where(head > 0, head, 1)), self._classes)

    def seeds(self, fields: Fields) -> NDArray[np.int32]:
        """The seed of TinyViT's augmentation for each row."""
        words = fields[self.signal.name][:, :SEED_WORDS]
        return np.ascontiguousarray(words).view("<i4")[:, 0]

    def recode(self, decoded: Any) -> NoReturn:
        """Always refused, like `encode`."""
        self.encode(decoded)

    def error(self, values: Any) -> NoReturn:
        """Always refused, like `encode`."""
        self.encode(values)

    def compare(self, values: "torch.Tensor", decoded: TopK) -> NoReturn:
        """Always refused, like `encode`."""
        self.encode(values)


def split(words: NDArray[Any], k: int) -> tuple[NDArray[np.int16], NDArray[np.float16]]:
    """Class numbers and probabilities of packed records."""
    ids = np.ascontiguousarray(words[:, SEED_WORDS : SEED_WORDS + k]).view("<i2")
    p = np.ascontiguousarray(words[:, SEED_WORDS + k :]).view("<f2")
    return ids, p
