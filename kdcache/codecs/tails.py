"""The tail of a distribution, that is its unlisted classes: rules for it, and its mass at any temperature from 1 up.

    logp (…, k)   log-probabilities of the listed classes at temperature 1
    tails (…, 3)  log(tail mass / head mass) at temperatures 1, 2, 4

With z the logits, a listed class has at temperature T the probability exp(z_i / T), divided by the sum of these over the head
(the listed classes), times the head's share of all mass. The first
factor follows from the log-probabilities at T = 1; the second was measured by the teacher and is stored at T = 1, 2 and 4.
Every distribution is therefore non-negative and sums to 1 by construction, whatever the rounding of what was stored.
"""

import math
import sys
from types import ModuleType
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kdcache.errors import UsageError

Tail = Literal["uniform", "bucket", "renormalise", "none"]
TEMPERATURES = (1.0, 2.0, 4.0)


def check_tail(tail: str) -> None:
    """UsageError for an unknown tail rule."""
    if tail not in get_args(Tail):
        raise UsageError(f"unknown tail rule {tail!r}", hint=f"one of {', '.join(get_args(Tail))}")


def check_temperature(temperature: float) -> None:
    """UsageError for a temperature below 1, where the tail is not known."""
    if not 1.0 <= temperature < math.inf:
        raise UsageError(f"temperature {temperature:g} is below 1, where the tail of top-k logits is not known")


def tail_logit(logp: Any, tails: Any, classes: int, temperature: float) -> Any:
    """log(tail mass / head mass) at a temperature: the stored value at 1, 2 and 4, interpolated at others."""
    if temperature in TEMPERATURES and TEMPERATURES.index(temperature) < tails.shape[-1]:
        return tails[..., TEMPERATURES.index(temperature)]
    if logp.shape[-1] == classes:
        return tails[..., 0]
    if tails.shape[-1] < len(TEMPERATURES):
        raise UsageError(
            f"temperature {temperature:g}: the tail of these logits is only known at temperature 1",
            hint="use temperature 1, or the tail rule renormalise",
        )
    return _interpolated(logp, tails, classes, 1 / temperature)


def _interpolated(logp: Any, tails: Any, classes: int, beta: float) -> Any:
    """log(tail mass / head mass) at `beta`, an inverse temperature between stored ones.

    log(sum over the tail of p^beta) is the cumulant generating function of the tail's logits: smooth and convex in beta
    (a parabola when they are normal). It is known at 1, 1/2, 1/4 and, as log(number of tail classes), at 0. So it is
    interpolated by the cubic through these four points and, because it is convex, never above the chord between two.
    """
    nodes = (0.0, 0.25, 0.5, 1.0)
    values = [math.log(classes - logp.shape[-1])]
    values += [tails[..., i] + _log_head(logp, b) for i, b in ((2, 0.25), (1, 0.5), (0, 1.0))]
    cubic = sum(value * _lagrange(nodes, i, beta) for i, value in enumerate(values))
    right = next(i for i, node in enumerate(nodes) if beta <= node)
    share = (beta - nodes[right - 1]) / (nodes[right] - nodes[right - 1])
    chord = values[right - 1] * (1 - share) + values[right] * share
    return namespace(tails).minimum(cubic, chord) - _log_head(logp, beta)


def _log_head(logp: Any, beta: float) -> Any:
    xp = namespace(logp)
    return xp.log(xp.exp(logp * beta).sum(-1))


def _lagrange(nodes: tuple[float, ...], i: int, x: float) -> float:
    return math.prod((x - other) / (nodes[i] - other) for j, other in enumerate(nodes) if j != i)


def namespace(array: Any) -> ModuleType:
    """The module that made the array: numpy or torch."""
    return np if isinstance(array, np.ndarray) else sys.modules["torch"]


def softmax(logits: NDArray[Any]) -> NDArray[Any]:
    """Softmax of numpy logits over the last axis, in their own precision."""
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(weights / weights.sum(-1, keepdims=True))
