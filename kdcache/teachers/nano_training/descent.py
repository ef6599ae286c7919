"""Optimisation of nano teachers: recipes, optimisers for the different weights, and the schedule.

Input: networks, a recipe, pictures. Output: a `Descent`, which gives a training loop the next pictures, takes optimiser steps and
saves the state, so that a training can be stopped and continued.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kdcache.base.progress import Progress
from kdcache.errors import Damage
from kdcache.teachers.nano_training.pictures import DrawnPictures
from kdcache.teachers.nano_training.portions import Portions
from kdcache.teachers.nano_training.saved import Saved
from kdcache.teachers.nano_training.schedule import Schedule

_OUTER = ("embed", "projection", "head")


class Descent:
    """Training steps over portions of pictures for a network and its helper networks, which are discarded afterwards.

    After each portion everything that the following steps depend on is saved, and a training that was stopped goes on from
    there. `others`: modules that are not trained by gradients but belong to this state.
    """

    def __init__(
        self,
        network: nn.Module,
        helpers: nn.Module,
        recipe: Schedule,
        portions: Portions,
        saved: Saved | None = None,
        others: Sequence[nn.Module] = (),
    ) -> None:
        self._network, self._recipe, self._portions, self._saved = network, recipe, portions, saved
        self._each = portions.size // recipe.batch
        self.steps = portions.passes * self._each
        self._lost = 0.0
        self._modules = (network, helpers, *others)
        self._optimisers = _optimisers(network, helpers, recipe)
        self._paces = [
            torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _pace(step, self.steps, recipe.warmup))
            for optimiser in self._optimisers
        ]

    def batches(self, dice: torch.Generator, progress: Progress) -> Iterator[tuple[int, DrawnPictures, Tensor]]:
        """Yield the number of each step, pictures, and the rows to use, in a new random order for each portion."""
        recipe, each, portions = self._recipe, self._each, self._portions
        done = self._load(dice)
        progress.start("train", self.steps * recipe.batch, done * each * recipe.batch)
        for number in range(done, portions.passes):
            pictures = portions.portion(number)
            order, self._lost = torch.randperm(len(pictures), generator=dice), 0.0
            for turn in range(each):
                rows = order[turn * recipe.batch :][: recipe.batch]
                yield number * each + turn, pictures, rows
                progress.advance(len(rows))
            if self._saved is not None:
                self._saved.save(number + 1, self._state(dice))
            progress.note(f"{self._epoch(number)}, {pictures.side} pixels: mean loss {self._lost / each:.3f}")
        progress.finish()

    def _epoch(self, number: int) -> str:
        kind = "pass" if self._recipe.fresh else "epoch"
        return f"{kind} {number + 1} of {self._portions.passes}"

    def step(self, loss: Tensor) -> None:
        """Take one optimiser step."""
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
        for optimiser, pace in zip(self._optimisers, self._paces, strict=True):
            optimiser.step()
            optimiser.zero_grad()
            pace.step()
        self._lost += float(loss.detach())

    def _state(self, dice: torch.Generator) -> dict[str, Any]:
        return {
            "modules": [module.state_dict() for module in self._modules],
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
            "paces": [pace.last_epoch for pace in self._paces],
            "dice": dice.get_state(),
            "torch": torch.get_rng_state(),
        }

    def _load(self, dice: torch.Generator) -> int:
        """Continue from the saved state, if there is one; returns the number of portions that are done."""
        done, state = self._saved.load() if self._saved is not None else (0, None)
        if self._saved is None or state is None:
            return 0
        try:
            self._take(state, dice)
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            message = f"{self._saved.path} is not a state of this training"
            raise Damage(message, hint=f"delete it and train from the start: rm {self._saved.path}") from error
        return done

    def _take(self, state: Mapping[str, Any], dice: torch.Generator) -> None:
        for module, its in zip(self._modules, state["modules"], strict=True):
            module.load_state_dict(its)
        for optimiser, its in zip(self._optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(its)
        for pace, last in zip(self._paces, state["paces"], strict=True):
            pace.last_epoch = last
        dice.set_state(state["dice"])
        torch.set_rng_state(state["torch"])


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
