"""The optimisers of a student: weight decay per parameter, learning rate per layer, and the learning rate of every step.

Input: the trained parameters of a network, as its family groups them, and a recipe. Output: optimisers whose groups have their
factor of the learning rate, and the learning rate as a pure function of the step.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from kdcache.errors import Unavailable
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


class Optimisers:
    """The optimisers of a training, each for some of the parameters. All take a step together."""

    def __init__(self, *each: torch.optim.Optimizer) -> None:
        self.each = each

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The parameter groups of all of them."""
        return [group for optimiser in self.each for group in optimiser.param_groups]

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of every group: its share of `rate`."""
        for group in self.groups:
            group["lr"] = rate * group["share"]

    def step(self, scaler: torch.amp.GradScaler) -> None:
        """Take a step with gradients that were unscaled before, and drop them."""
        for optimiser in self.each:
            scaler.step(optimiser)
        scaler.update()
        for optimiser in self.each:
            optimiser.zero_grad()


def optimisers(
    trained: Iterable[Group],
    ask: Optimiser,
    *,
    fused: bool,
    own: nn.Module | None = None,
    classifier: str | None = None,
) -> Optimisers:
    """Optimisers whose parameters are grouped by layer and decay; `share`: a group's factor of the learning rate.

    `own`: the objectives' own weights, which have the learning rate of the last layer. `classifier`: name of the layer that
    AdamW trains even if Muon trains the other matrices, because each of its rows is a class.
    """
    every = [each for each in trained if each.parameter.requires_grad]  # a constraint may have frozen the others
    last = max((each.layer for each in every), default=0)
    groups: dict[tuple[int, bool, bool], list[nn.Parameter]] = {}
    for each in every:
        layer = each.layer if ask.layer_decay < 1 else last
        inner = ask.matrix_rate is not None and each.decays and each.parameter.ndim == 2
        matrix = inner and not each.name.startswith(f"{classifier}.")
        groups.setdefault((layer, not each.decays, matrix), []).append(each.parameter)
    for parameter in own.parameters() if own is not None else ():
        groups.setdefault((last, parameter.ndim <= 1, False), []).append(parameter)
    made = sorted(groups.items(), key=lambda item: item[0])

    def settings(matrix: bool, factor: float) -> list[dict[str, Any]]:
        return [
            {
                "params": parameters,
                "weight_decay": 0.0 if spared else ask.decay,
                "share": factor * ask.layer_decay ** (last - layer),
            }
            for (layer, spared, muon), parameters in made
            if muon == matrix
        ]

    adamw = torch.optim.AdamW(settings(False, 1.0), lr=ask.rate, betas=ask.betas, eps=ask.eps, fused=fused)
    matrices = settings(True, ask.matrix_rate / ask.rate) if ask.matrix_rate is not None else []
    return Optimisers(adamw, *([_muon(matrices, ask)] if matrices else []))


def _muon(groups: list[dict[str, Any]], ask: Optimiser) -> torch.optim.Optimizer:
    if not hasattr(torch.optim, "Muon"):
        hint = "pip install 'torch>=2.9', or train with AdamW alone: --set optimiser.matrix_rate=null"
        raise Unavailable(f"this recipe has a matrix_rate, and torch {torch.__version__} has no Muon", hint=hint)
    # Its steps are scaled to the size of AdamW's, so that one weight decay suits both.
    return torch.optim.Muon(groups, lr=ask.rate, adjust_lr_fn="match_rms_adamw")
