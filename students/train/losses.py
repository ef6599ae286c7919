"""The computation of a training step: the student's outputs, the loss of every objective, and their sum.

Input: the arguments of the student, the teacher's signals and the truths of a piece. Output: Losses. All is one torch module, so
that gradients of the student and of the objectives' own weights are averaged over processes together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import xxhash
from torch import Tensor, nn

from kdcache.base.dice import Dice
from kdcache.networks.pixels import autocast
from students.base.objective import Objective, Sides
from students.base.types import Precision
from students.families.registry import family_of
from students.families.spec import StudentSpec
from students.recipe import Recipe

_OWN = 0x57E9_0002
"""Key that makes the random numbers for an objective's own weights differ from those for other purposes."""


@dataclass(frozen=True)
class Losses:
    """Losses of a piece, with one value per example."""

    total: Tensor
    """Sum of all parts, each times its weight and its objective's."""
    parts: dict[str, Tensor]
    """`OBJECTIVE.PART` -> its loss, before weights are applied."""


def part_names(recipe: Recipe) -> tuple[str, ...]:
    """Names under which the losses of a recipe are logged, in order: `labels.soft`, `hint.mse` …"""
    return tuple(f"{name}.{part}" for name, objective in recipe.losses.items() for part in objective.parts)


def own_modules(recipe: Recipe, sides: Mapping[str, Sides], seed: int) -> nn.ModuleDict:
    """The objectives' own weights, by objective; they depend only on the run's seed and the objective's name."""
    modules = nn.ModuleDict()
    with torch.random.fork_rng(devices=[]):
        for name, objective in recipe.losses.items():
            key = xxhash.xxh3_64_intdigest(name.encode())
            torch.manual_seed(Dice(seed, key, purpose=_OWN).word() >> 1)  # it takes 63 bits
            if (module := objective.module(sides[name])) is not None:
                modules[_key(name)] = module
    return modules


def _key(name: str) -> str:
    """Key of an objective in the nn.ModuleDict, with a prefix because names such as `items` are its own attributes."""
    return f"objective_{name}"


class Step(nn.Module):
    """A student with its objectives; called once per piece."""

    def __init__(
        self,
        network: nn.Module,
        spec: StudentSpec,
        objectives: Mapping[str, Objective],
        own: nn.ModuleDict,
        precision: Precision,
    ) -> None:
        super().__init__()
        outputs = frozenset(name for objective in objectives.values() for name in objective.needs().outputs)
        self.trained = family_of(spec).trained(network, spec, outputs)
        self.own = own
        self._objectives, self._precision = objectives, precision

    @property
    def uses_all(self) -> bool:
        """Whether every trained parameter has a gradient after each piece."""
        weighted = all(objective.weight for objective in self._objectives.values())
        return weighted and bool(getattr(self.trained, "uses_all", False))

    def forward(
        self, batch: dict[str, Any], signals: Mapping[str, Any], truths: Mapping[str, Any], device: str
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The two fields of `Losses`. The network computes in the recipe's precision, losses always in float32."""
        with autocast(torch.device(device), self._precision):
            output = self.trained(**batch)
        own = dict(self.own.items())
        losses = {
            name: objective.losses(output, signals, truths, own.get(_key(name)))
            for name, objective in self._objectives.items()
        }
        total = weighted(self._objectives, losses)
        assert total is not None, "a recipe has an objective whose weight is not 0"
        parts = {f"{name}.{part}": loss for name, each in losses.items() for part, (_, loss) in each.items()}
        return total, {name: loss.detach() for name, loss in parts.items()}


def weighted(
    objectives: Mapping[str, Objective], losses: Mapping[str, Mapping[str, tuple[float, Tensor]]]
) -> Tensor | None:
    """The sum of all parts, each times its own and its objective's weight. Parts of weight 0 are skipped; None without any."""
    total: Tensor | None = None
    for name, objective in objectives.items():
        for weight, loss in losses[name].values():
            if share := objective.weight * weight:
                total = share * loss if total is None else total + share * loss
    return total
