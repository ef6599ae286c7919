"""Optimisation of nano teachers: recipes, optimisers for the different weights, and the schedule.

Input: networks and a recipe. Output: a `Descent`, which gives a training loop the next pictures and takes optimiser steps.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kdcache.base.progress import Progress

_OUTER = ("embed", "projection", "head")


@dataclass(frozen=True)
class Schedule:
    """Length and learning rates of a training."""

    epochs: int
    rate: float
    """Learning rate of AdamW, which trains convolutions, embeddings, heads and vectors."""
    matrix_rate: float = 6e-3
    """Learning rate of Muon, which trains the matrices inside the network."""
    batch: int = 64
    decay: float = 0.05
    warmup: float = 0.05
    """Length of the warm-up as a fraction of all steps."""


class Descent:
    """Training steps over `count` pictures for a network and its helper networks, which are discarded afterwards."""

    def __init__(self, network: nn.Module, helpers: nn.Module, recipe: Schedule, count: int) -> None:
        self._network, self._recipe, self._count = network, recipe, count
        self._an_epoch = count // recipe.batch
        self.steps = recipe.epochs * self._an_epoch
        self._lost = 0.0
        self._optimisers = _optimisers(network, helpers, recipe)
        self._paces = [
            torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _pace(step, self.steps, recipe.warmup))
            for optimiser in self._optimisers
        ]

    def batches(self, dice: torch.Generator, progress: Progress) -> Iterator[tuple[int, Tensor]]:
        """Yield the number of each step and the rows of its pictures, in a new random order each epoch."""
        recipe, each = self._recipe, self._an_epoch
        progress.start("train", self.steps * recipe.batch)
        for epoch in range(recipe.epochs):
            order, self._lost = torch.randperm(self._count, generator=dice), 0.0
            for turn in range(each):
                rows = order[turn * recipe.batch :][: recipe.batch]
                yield epoch * each + turn, rows
                progress.advance(len(rows))
            progress.note(f"epoch {epoch + 1} of {recipe.epochs}: mean loss {self._lost / each:.3f}")
        progress.finish()

    def step(self, loss: Tensor) -> None:
        """Take one optimiser step."""
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
        for optimiser, pace in zip(self._optimisers, self._paces, strict=True):
            optimiser.step()
            optimiser.zero_grad()
            pace.step()
        self._lost += float(loss.detach())


def _optimisers(network: nn.Module, helpers: nn.Module, recipe: Schedule) -> list[torch.optim.Optimizer]:
    """Muon for the matrices between the first and the last layer, AdamW for all other weights."""
    matrices: list[nn.Parameter] = []
    others = list(helpers.parameters())
    for name, parameter in network.named_parameters():
        inner = parameter.ndim == 2 and not any(word in name for word in _OUTER)
        (matrices if inner else others).append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": [p for p in others if p.ndim >= 2], "weight_decay": recipe.decay},
        {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [
        torch.optim.AdamW(groups, recipe.rate, betas=(0.9, 0.98), fused=True),
        torch.optim.Muon(matrices, recipe.matrix_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
    ]


def _pace(step: int, steps: int, warmup: float) -> float:
    """Learning-rate factor: linear warm-up, then cosine decay to zero."""
    rise = warmup * steps
    return (step + 1) / rise if step < rise - 1 else (1 + math.cos(math.pi * (step - rise) / (steps - rise))) / 2
