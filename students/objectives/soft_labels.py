"""Soft labels: cross-entropy with the teacher's distribution, with the true class, or with both.

Input: the student's logits, what the teacher said (top-k or all logits) and the true classes. Output: one loss a row, and its two
parts. The dense distribution over all classes is never made: at 21,841 classes it would be the largest array of the step.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from kdcache.codecs.distribution import Distribution, Tail, TopK
from students.objectives.losses import Losses
from students.recipe import SoftLabels


@dataclass(frozen=True)
class Truth:
    """True classes of mixed images: `share` of the first, the rest of the second; -1 where unknown."""

    first: Tensor
    second: Tensor
    share: Tensor


def losses(ask: SoftLabels, logits: Tensor, said: Distribution | None, truth: Truth | None) -> Losses:
    """How far a student is from what it is asked to match. Always in float32."""
    logits = logits.float()
    total = logits.new_zeros(len(logits))
    soft = hard = None
    if ask.soft:
        assert said is not None, "the recipe asks for soft labels: checked before the first step"
        soft = soft_loss(logits, said, ask.temperature, ask.tail)
        total = total + ask.soft * soft
    if ask.hard:
        assert truth is not None, "the recipe asks for true classes: checked before the first step"
        hard = hard_loss(logits, truth, ask.smoothing)
        total = total + ask.hard * hard
    return Losses(total, soft, hard)


def soft_loss(logits: Tensor, said: Distribution, temperature: float = 1.0, tail: Tail = "uniform") -> Tensor:
    """Cross-entropy with the teacher's distribution, both at a temperature, times the temperature squared."""
    logq = (logits / temperature).log_softmax(-1)
    if isinstance(said, TopK):
        found = _sparse(logq, said, temperature, tail)
    else:
        found = -(said.probabilities(temperature) * logq).sum(-1)
    return found * temperature**2


def _sparse(logq: Tensor, said: TopK, temperature: float, tail: Tail) -> Tensor:
    ids, p, rest = said.sparse(temperature, tail)
    listed = logq.gather(1, ids)
    found: Tensor = -(p * listed).sum(-1)
    if ids.shape[1] == said.classes:
        return found
    if tail == "uniform":
        found = found - rest * (logq.sum(-1) - listed.sum(-1))
    if tail == "bucket":
        found = found - rest * logq.scatter(1, ids, -torch.inf).logsumexp(-1)
    return found


def hard_loss(logits: Tensor, truth: Truth, smoothing: float) -> Tensor:
    """Cross-entropy with the true class, mixed as the image is; rows of unknown class weigh nothing."""
    first, second = (
        functional.cross_entropy(logits, labels, ignore_index=-1, label_smoothing=smoothing, reduction="none")
        for labels in (truth.first, truth.second)
    )
    return truth.share * first + (1 - truth.share) * second
