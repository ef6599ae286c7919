"""Tests of what every constraint must do. A package with a constraint of its own runs them:

    class TestMine(ConstraintContract):
        constraint = Mine(share=0.5)

They need torch but not pytest: a failed test raises AssertionError.
"""

from typing import Any, ClassVar

import torch
from pydantic import TypeAdapter
from torch import nn

from students.base.objective import Constraint
from students.constraints.registry import CONSTRAINTS, AnyConstraint


class ConstraintContract:
    """Tests of one constraint."""

    constraint: ClassVar[Constraint]

    def network(self, seed: int = 0) -> nn.Module:
        """A small network with modules that the constraint can act on; its weights depend on the seed."""
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5))

    def test_it_is_read_back_as_it_was_written(self) -> None:
        """A record is read by its kind alone, so that a run with this constraint can be opened."""
        plain = self.constraint.plain()
        assert plain["kind"] == self.constraint.kind
        assert TypeAdapter[Any](AnyConstraint).validate_python(plain) == type(self.constraint).from_plain(
            _fields(plain)
        )
        assert CONSTRAINTS.get(self.constraint.kind) is type(self.constraint)

    def test_what_it_keeps_survives_a_stop(self) -> None:
        """Four steps end with the same weights, bit for bit, if training is stopped after two and resumed in another process."""
        whole = self._train(self.network(), 0, 4)
        first = self.network()
        self._train(first, 0, 2)
        kept = {name: value.clone() for name, value in self._held.state().items()}
        again = self.network(seed=1)  # other weights, as in a process before it reads a checkpoint
        self._prepare(again)
        again.load_state_dict(first.state_dict())
        self._held.restore(kept)
        halves = self._train(again, 2, 4, prepared=True)
        assert all(torch.equal(value, halves[name]) for name, value in whole.items())

    def test_another_training_begins_anew(self) -> None:
        """The record keeps nothing of an earlier network: two trainings with it give the same weights."""
        one, other = (self._train(self.network(), 0, 2) for _ in range(2))
        assert all(torch.equal(value, other[name]) for name, value in one.items())

    def _prepare(self, network: nn.Module) -> None:
        self._held = self.constraint
        self._held.prepare(network)

    def _train(self, network: nn.Module, start: int, end: int, *, prepared: bool = False) -> dict[str, torch.Tensor]:
        if not prepared:
            self._prepare(network)
        for step in range(start, end):
            network.train()
            self._held.before_step(network)
            pixels = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(step))
            network(pixels).square().mean().backward()
            with torch.no_grad():
                for parameter in network.parameters():
                    if parameter.grad is not None:
                        parameter.sub_(0.1 * parameter.grad)
                        parameter.grad = None
            self._held.after_step(network, step)
        return {name: value.clone() for name, value in network.state_dict().items()}


def _fields(plain: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in plain.items() if key != "kind"}
