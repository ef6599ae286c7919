"""AdamW for a student: weight decay per parameter, learning rate per layer, and the learning rate of every step.

Input: the trained parameters of a network, as its family groups them, and a recipe. Output: an optimiser whose groups have their
factor of the learning rate, and the learning rate as a pure function of the step.
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
    """Learning rate of every step: a linear warm-up, then a cosine decay."""

    optimiser: Optimiser
    steps: int
    """Number of steps of the whole training."""
    warmup: int
    """Number of warm-up steps."""

    def __call__(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        ask = self.optimiser
        if step < self.warmup:
            return ask.first_rate + (ask.rate - ask.first_rate) * step / self.warmup
        share = (step - self.warmup) / max(1, self.steps - self.warmup)
        return ask.last_rate + (ask.rate - ask.last_rate) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


def adamw(trained: Iterable[Group], ask: Optimiser, *, fused: bool, own: nn.Module | None = None) -> torch.optim.AdamW:
    """AdamW with parameters grouped by layer and decay; `share`: a group's factor of the learning rate, 1 in the last layer.

    `own`: the objectives' own weights, which have the learning rate of the last layer.
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
    """Set the learning rate of every group: its share of `rate`."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["share"]
