"""AdamW for a student: which parameters decay, how fast each layer learns, and the rate of every step.

Input: the trained parameters of a network, as its family groups them, and a recipe. Output: an optimiser whose groups carry
their share of the rate, and the rate itself, a pure function of the step.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from students.base.contracts import Group
from students.recipe import Optimiser


@dataclass(frozen=True)
class Pace:
    """The rate of every step: a straight warm-up, then half a cosine."""

    optimiser: Optimiser
    steps: int
    """Number of steps of the whole training."""
    warmup: int
    """Number of warm-up steps."""

    def __call__(self, step: int) -> float:
        """The rate of step 0, 1, …"""
        ask = self.optimiser
        if step < self.warmup:
            return ask.first_rate + (ask.rate - ask.first_rate) * step / self.warmup
        share = (step - self.warmup) / max(1, self.steps - self.warmup)
        return ask.last_rate + (ask.rate - ask.last_rate) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


def adamw(trained: Iterable[Group], ask: Optimiser, *, fused: bool, own: nn.Module | None = None) -> torch.optim.AdamW:
    """Groups by layer and decay; `share` of a group is what its rate is multiplied with, 1 in the last layer.

    `own`: the objectives' weights, which learn as fast as the last layer.
    """
    every = [each for each in trained if each.parameter.requires_grad]  # a constraint may have frozen the others
    last = max((each.layer for each in every), default=0)
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for each in every:
        layer = each.layer if ask.layer_decay < 1 else last
        groups.setdefault((layer, not each.decays), []).append(each.parameter)
    for parameter in own.parameters() if own is not None else ():
        groups.setdefault((last, parameter.ndim <= 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "weight_decay": 0.0 if spared else ask.decay,
                "share": ask.layer_decay ** (last - layer),
            }
            for (layer, spared), parameters in sorted(groups.items(), key=lambda item: item[0])
        ],
        lr=ask.rate,
        betas=ask.betas,
        eps=ask.eps,
        fused=fused,
    )


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its share of the rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["share"]
