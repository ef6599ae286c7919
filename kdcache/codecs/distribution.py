"""Distributions over classes, as decoded from a cache or as a teacher emits them.

`TopK` has only the likeliest classes, `Logits` has all; both have `probabilities`, `top`, `to`, and can be sliced by row. A row
has one distribution or, for a signal over (position, class), one at each position:

    n  rows    L  positions, if the signal has any    c  classes    k  listed classes

    TopK      ids, logp (n, k) or (n, L, k)    tails (n, 3) or (n, L, 3)    lengths None or (n,)
    Logits    values (n, c) or (n, L, c)                                    lengths None or (n,)
    .probabilities(temperature=2.0)   (n, c) or (n, L, c), float32; zeros beyond the length of a row

In: ids, log-probabilities and tails of some rows, as numpy arrays or, after `to(device)`, as torch tensors: the same lines
of arithmetic serve both. Out: probabilities at any temperature from 1 up, under one of four tail rules (tails.py).

    >>> one = TopK(np.array([[2, 0]]), np.log(np.array([[0.5, 0.25]])), np.log(np.array([[1 / 3]])), classes=4)
    >>> one.probabilities().round(3).tolist()          # the tail of 0.25 is spread over classes 1 and 3
    [[0.25, 0.125, 0.5, 0.125]]
    >>> words = Logits(np.zeros((1, 3, 4), np.float32), lengths=np.array([2]))    # one row of 2 positions, of 3 at most
    >>> words.probabilities(2.0).sum(-1).tolist()
    [[1.0, 1.0, 0.0]]
    >>> words.mask().tolist()
    [[True, True, False]]

    >>> one = TopK(np.array([[2, 0]]), np.log(np.array([[0.5, 0.25]])), np.log(np.array([[1 / 3]])), classes=4)
    >>> one.probabilities().round(3).tolist()          # the tail of 0.25 is spread over classes 1 and 3
    [[0.25, 0.125, 0.5, 0.125]]
    >>> words = Logits(np.zeros((1, 3, 4), np.float32), lengths=np.array([2]))    # one row of 2 positions, of 3 at most
    >>> words.probabilities(2.0).sum(-1).tolist()
    [[1.0, 1.0, 0.0]]
    >>> words.mask().tolist()
    [[True, True, False]]

With z the logits, the head at temperature T is exp(z_i / T) over its own sum, times the head's share of all mass. The first
factor follows from the log-probabilities at T = 1; the second was measured by the teacher and is stored at T = 1, 2 and 4.
Every distribution is therefore non-negative and sums to 1 by construction, whatever the rounding of what was stored.
"""

import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcache.codecs.tails import TEMPERATURES, Tail, check_tail, namespace, softmax
from kdcache.codecs.top_classes import Sparse, TopK
from kdcache.errors import Damage, UsageError
from kdcache.signals.padded import present

__all__ = ["TEMPERATURES", "Distribution", "Logits", "Sparse", "Tail", "TopK", "check_classes"]


@dataclass(frozen=True)
class Logits:
    """The logits of all classes of some rows, or of their positions."""

    values: Any
    """Raw logits, (n, classes) or (n, L, classes)."""
    lengths: Any = None
    """Number of positions in each row, (n,); None where all rows have the same number, or there are no positions."""

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.values.shape[-1])

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, classes) or (n, L, classes)"""
        return tuple(self.values.shape)

    def __getitem__(self, rows: slice) -> "Logits":
        return Logits(self.values[rows], None if self.lengths is None else self.lengths[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype, copy=copy)

    def at(self, mask: Any) -> "Logits":
        """The logits at the positions that a mask (n, L) selects, each as a row."""
        return Logits(self.values[mask])

    def up_to(self, length: int) -> "Logits":
        """The first `length` positions of the first row."""
        return Logits(self.values[:1, :length])

    def mask(self) -> Any:
        """(n, L) booleans: which positions each row has. Only for logits with lengths."""
        return present(self.lengths, self.values.shape[1])

    def to(self, device: Any = "cpu") -> "Logits":
        """A copy of the rows as a torch tensor on a device."""
        import torch

        lengths = None if self.lengths is None else torch.as_tensor(self.lengths).to(device)
        return Logits(torch.tensor(self.values, device=device), lengths)

    def probabilities(self, temperature: float = 1.0, tail: Tail = "uniform") -> Any:
        """The distribution at a temperature as a dense float32 (n, classes) array. All classes are listed, so every tail rule
        gives the same result, except that `bucket` adds a column (of zeros), as it does for top-k logits.
        """
        check_tail(tail)
        if not 0.0 < temperature < math.inf:
            raise UsageError(f"temperature {temperature:g} is not a positive number")
        if namespace(self.values) is np:
            p = softmax(self.values.astype(np.float32) / np.float32(temperature))
            p = np.pad(p, (*((0, 0) for _ in p.shape[1:]), (0, 1))) if tail == "bucket" else p
        else:
            p = (self.values.float() / temperature).softmax(-1)
            p = sys.modules["torch"].nn.functional.pad(p, (0, 1)) if tail == "bucket" else p
        return p if self.lengths is None else p * self.mask()[..., None]

    def top(self, count: int) -> tuple[Any, Any]:
        """The `count` likeliest classes of each row (or all if fewer), likeliest first, with probabilities. Numpy only."""
        p = softmax(self.values.astype(np.float64))
        ids = np.argsort(-p, axis=-1, kind="stable")[..., :count]
        return ids, np.take_along_axis(p, ids, -1)

    def as_logits(self) -> Any:
        """The logits as a tensor. A read-only mapped array is copied, because torch has no read-only tensors."""
        import torch

        return torch.from_numpy(self.values if self.values.flags.writeable else self.values.copy())

    def furthest(self, logits: NDArray[Any]) -> NDArray[np.float64]:
        """Largest difference between these probabilities and those of other `logits`: (n,) or (n, L)."""
        stored, now = (softmax(each.astype(np.float64)) for each in (self.values, logits))
        return np.asarray(np.abs(stored - now).max(-1))

    def plain(self, row: int) -> Any:
        """The logits of one row as JSON values."""
        return self.values[row].tolist()


Distribution = TopK | Logits


def check_classes(ids: Any, classes: int, codec: str) -> None:
    """Damage when stored class numbers are out of range, because their codec cannot have written such records.

    Tensors on an accelerator are not checked, because that would make the host wait for it.
    """
    if not len(ids) or getattr(ids, "is_cuda", False):
        return
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= classes:
        wrong = low if low < 0 else high
        outside = (ids < 0) | (ids >= classes)
        rows = outside.reshape(len(ids), -1).any(-1).nonzero()
        rows = rows[0].tolist() if isinstance(rows, tuple) else rows.flatten().tolist()
        message = f"{codec} records name class {wrong:,} of only {classes:,}: this codec did not write them"
        raise Damage(message, hint="copy the cache again from its source, or build it again", rows=rows)
