"""Distributions over classes as they come back from a cache, and those a student may be given instead.

`TopK` where the likeliest classes are kept, `Logits` where all are: both have `probabilities`, `top`, `to`, and rows that are
taken with a slice.

In: ids, log-probabilities and tails of some rows, as numpy arrays or, after `to(device)`, as torch tensors: the same lines
of arithmetic serve both. Out: probabilities at any temperature from 1 up, under one of four tail rules.

With z the logits, the head at temperature T is exp(z_i / T) over its own sum, times the head's share of all mass. The first
factor follows from the log-probabilities at T = 1; the second was measured by the teacher and is stored at T = 1, 2 and 4.
Every distribution is therefore non-negative and sums to 1 by construction, whatever the rounding of what was stored.
"""

import math
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from kdcache.errors import Damage, UsageError

Tail = Literal["uniform", "bucket", "renormalise", "none"]
TEMPERATURES = (1.0, 2.0, 4.0)


class Sparse(NamedTuple):
    """A distribution by its k listed classes and one number for all the others."""

    ids: Any
    """(n, k) class numbers"""
    p: Any
    """(n, k) their probabilities"""
    rest: Any
    """(n,) `uniform`: probability of each class that is not listed; `bucket`: of one class named other; else 0"""


@dataclass(frozen=True)
class TopK:
    """The k likeliest classes of some rows, their log-probabilities, and how much lies outside of them."""

    ids: Any
    """int64 (n, k), likeliest first"""
    logp: Any
    """float32 (n, k), log-probabilities at temperature 1"""
    tails: Any
    """float32 (n, 3) at temperatures 1, 2, 4, or (n, 1) when only 1 is known: log(tail mass / head mass), -inf for no tail"""
    classes: int

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: slice) -> "TopK":
        return TopK(self.ids[rows], self.logp[rows], self.tails[rows], self.classes)

    def to(self, device: Any = "cpu") -> "TopK":
        """The same rows as torch tensors on a device."""
        import torch

        ids, logp, tails = (torch.as_tensor(array).to(device) for array in (self.ids, self.logp, self.tails))
        return TopK(ids, logp, tails, self.classes)

    def sparse(self, temperature: float = 1.0, tail: Tail = "uniform") -> Sparse:
        """The distribution at a temperature, in sparse form.

        `uniform`: the tail mass is spread evenly over the classes that are not listed. `bucket`: it is one extra class.
        `renormalise`: the head alone sums to 1. `none`: the head keeps its true share, so p sums to 1 - tail mass.
        """
        _check(temperature, tail)
        xp = _namespace(self.logp)
        weights = xp.exp(self.logp / temperature)
        total = weights.sum(-1)
        if tail == "renormalise":
            return Sparse(self.ids, weights / total[:, None], xp.zeros_like(total))
        odds = xp.exp(self.tail_logit(temperature))
        p = weights / (total * (1 + odds))[:, None]
        mass = odds / (1 + odds)
        others = max(self.classes - self.ids.shape[1], 1)
        rest = {"uniform": mass / others, "bucket": mass, "none": xp.zeros_like(mass)}[tail]
        return Sparse(self.ids, p, rest)

    def probabilities(self, temperature: float = 1.0, tail: Tail = "uniform") -> Any:
        """The distribution at a temperature as a dense float32 (n, classes) array; `bucket` adds one column for the tail."""
        ids, p, rest = self.sparse(temperature, tail)
        xp = _namespace(p)
        count = len(self)
        width = self.classes + (tail == "bucket")
        dense = xp.zeros_like(p, shape=(count, width)) if xp is np else p.new_zeros((count, width))
        if tail == "uniform":
            dense += rest[:, None]
        if tail == "bucket":
            dense[:, self.classes] = rest
        rows = xp.arange(count) if xp is np else xp.arange(count, device=p.device)
        dense[rows[:, None], ids] = p
        return dense

    def top(self, count: int) -> tuple[Any, Any]:
        """Up to `count` of the likeliest classes of each row, likeliest first, and their probabilities; of numpy arrays."""
        return self.ids[:, :count], np.exp(self.logp[:, :count])

    def tail_logit(self, temperature: float = 1.0) -> Any:
        """log(tail mass / head mass) at a temperature: as stored at 1, 2 and 4, interpolated at others."""
        if temperature in TEMPERATURES and TEMPERATURES.index(temperature) < self.tails.shape[1]:
            return self.tails[:, TEMPERATURES.index(temperature)]
        if self.ids.shape[1] == self.classes:
            return self.tails[:, 0]
        if self.tails.shape[1] < len(TEMPERATURES):
            raise UsageError(
                f"temperature {temperature:g}: the tail of these logits is only known at temperature 1",
                hint="use temperature 1, or the tail rule renormalise",
            )
        return self._interpolated(1 / temperature)

    def _interpolated(self, beta: float) -> Any:
        """The tail at an inverse temperature between those stored.

        log(sum over the tail of p^beta) is the cumulant generating function of the tail's logits: smooth and convex in beta
        (a parabola when they are normal), known at 1, 1/2, 1/4 and, as log(number of classes), at 0. So: the cubic through
        these four points, never above the chord.
        """
        nodes = (0.0, 0.25, 0.5, 1.0)
        values = [math.log(self.classes - self.ids.shape[1])]
        values += [self.tails[:, i] + self._log_head(b) for i, b in ((2, 0.25), (1, 0.5), (0, 1.0))]
        cubic = sum(value * _lagrange(nodes, i, beta) for i, value in enumerate(values))
        right = next(i for i, node in enumerate(nodes) if beta <= node)
        share = (beta - nodes[right - 1]) / (nodes[right] - nodes[right - 1])
        chord = values[right - 1] * (1 - share) + values[right] * share
        xp = _namespace(self.tails)
        return xp.minimum(cubic, chord) - self._log_head(beta)

    def _log_head(self, beta: float) -> Any:
        xp = _namespace(self.logp)
        return xp.log(xp.exp(self.logp * beta).sum(-1))


@dataclass(frozen=True)
class Logits:
    """The logits of all classes of some rows."""

    values: Any
    """(n, classes) raw logits"""

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return int(self.values.shape[-1])

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice) -> "Logits":
        return Logits(self.values[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype, copy=copy)

    def to(self, device: Any = "cpu") -> "Logits":
        """The same rows as a torch tensor of their own on a device."""
        import torch

        return Logits(torch.tensor(self.values, device=device))

    def probabilities(self, temperature: float = 1.0, tail: Tail = "uniform") -> Any:
        """The distribution at a temperature as a dense float32 (n, classes) array. No class is left out, so that every rule for a
        tail gives the same; `bucket` adds a column of zeros, as it does for top-k logits.
        """
        _check_tail(tail)
        if not 0.0 < temperature < math.inf:
            raise UsageError(f"temperature {temperature:g} is not a positive number")
        if _namespace(self.values) is np:
            p = _softmax(self.values.astype(np.float32) / np.float32(temperature))
            return np.pad(p, ((0, 0), (0, 1))) if tail == "bucket" else p
        p = (self.values.float() / temperature).softmax(-1)
        if tail == "bucket":
            p = sys.modules["torch"].nn.functional.pad(p, (0, 1))
        return p

    def top(self, count: int) -> tuple[Any, Any]:
        """Up to `count` of the likeliest classes of each row, likeliest first, and their probabilities; of numpy arrays."""
        p = _softmax(self.values.astype(np.float64))
        ids = np.argsort(-p, axis=-1, kind="stable")[:, :count]
        return ids, np.take_along_axis(p, ids, -1)


Distribution = TopK | Logits


def check_classes(ids: Any, classes: int, codec: str) -> None:
    """Damage when stored class numbers are none of these classes: such records were never written by their codec.

    Tensors on an accelerator are not looked at, as that would hold it back.
    """
    if not len(ids) or getattr(ids, "is_cuda", False):
        return
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= classes:
        wrong = low if low < 0 else high
        message = f"{codec} records name class {wrong:,}, and there are {classes:,}: this codec has not written them"
        raise Damage(message, hint="get the cache again from where it came, or build it anew")


def _softmax(logits: NDArray[Any]) -> NDArray[Any]:
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(weights / weights.sum(-1, keepdims=True))


def _lagrange(nodes: tuple[float, ...], i: int, x: float) -> float:
    return math.prod((x - other) / (nodes[i] - other) for j, other in enumerate(nodes) if j != i)


def _namespace(array: Any) -> ModuleType:
    """numpy or torch, whichever made the array."""
    return np if isinstance(array, np.ndarray) else sys.modules["torch"]


def _check_tail(tail: str) -> None:
    if tail not in get_args(Tail):
        raise UsageError(f"unknown tail rule {tail!r}", hint=f"one of {', '.join(get_args(Tail))}")


def _check(temperature: float, tail: str) -> None:
    _check_tail(tail)
    if not 1.0 <= temperature < math.inf:
        raise UsageError(f"temperature {temperature:g} is below 1, where the tail of top-k logits is not known")
