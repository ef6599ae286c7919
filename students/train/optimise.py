"""AdamW for a student: which parameters decay, how fast each layer learns, and the rate of every step.

Input: a network and a recipe. Output: an optimiser whose groups carry their share of the rate, and the rate itself, a pure
function of the step.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from students.recipe import Optimiser


@dataclass(frozen=True)
class Pace:
    """The rate of every step: a straight warm-up, then half a cosine."""

    optimiser: Optimiser
    steps: int
    """of the whole training"""
    warmup: int
    """steps"""

    def __call__(self, step: int) -> float:
        """The rate of step 0, 1, …"""
        ask = self.optimiser
        if step < self.warmup:
            return ask.first_rate + (ask.rate - ask.first_rate) * step / self.warmup
        share = (step - self.warmup) / max(1, self.steps - self.warmup)
        return ask.last_rate + (ask.rate - ask.last_rate) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


def adamw(
    network: nn.Module,
    ask: Optimiser,
    *,
    layer_of: Callable[[str], int],
    layers: int,
    no_decay: Callable[[str, nn.Parameter], bool],
    fused: bool,
    own: nn.Module | None = None,
) -> torch.optim.AdamW:
    """Groups by layer and decay; `share` of a group is what its rate is multiplied with.

    `own`: the objectives' weights, which learn as fast as the last layer.
    """
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            layer = layer_of(name) if ask.layer_decay < 1 else layers - 1
            groups.setdefault((layer, no_decay(name, parameter)), []).append(parameter)
    for name, parameter in own.named_parameters() if own is not None else ():
        groups.setdefault((layers - 1, no_decay(name, parameter)), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "weight_decay": 0.0 if spared else ask.decay,
                "share": ask.layer_decay ** (layers - 1 - layer),
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
