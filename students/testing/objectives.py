"""Tests of what every objective must do. A package with an objective of its own runs them:

    class TestMine(ObjectiveContract):
        objective = Mine(weight=0.5)

        def sides(self): return Sides(signals={…}, outputs={…}, spec=…)
        def example(self): return Example(output={…}, signals={…}, truths={…})
        def misfits(self): return [(Sides(…), ("the teacher's 3", "the student's 4"))]

They need torch but not pytest: a failed test raises AssertionError.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from kdcache.errors import Mismatch
from students.base.contracts import Needs
from students.base.objective import Objective, Sides
from students.base.truths import CLASS
from students.objectives.registry import OBJECTIVES, AnyObjective


class Example(NamedTuple):
    """Outputs, signals and truths of one piece with at least two examples. The tests make its outputs require gradients."""

    output: Mapping[str, Any]
    signals: Mapping[str, Any]
    truths: Mapping[str, Any]
    size: int
    """Number of examples."""


class ObjectiveContract:
    """Tests of one objective."""

    objective: ClassVar[Objective]

    def sides(self) -> Sides:
        """Sides that the objective can compare."""
        raise NotImplementedError

    def example(self) -> Example:
        """A piece with outputs, signals and truths that fit `sides`."""
        raise NotImplementedError

    def misfits(self) -> Sequence[tuple[Sides, tuple[str, ...]]]:
        """Sides that the objective cannot compare, each with words about both sides that the error must contain."""
        raise NotImplementedError

    def test_its_needs_are_data(self) -> None:
        """The needs are known without student, teacher or image, and the example has exactly what they name."""
        needs, example = self.objective.needs(), self.example()
        assert isinstance(needs, Needs)
        assert needs.outputs, "an objective without any output of the student cannot train it"
        assert set(needs.outputs) == set(example.output)
        assert set(needs.signals) == set(example.signals)
        assert set(needs.columns) == set(example.truths)

    def test_it_is_read_back_as_it_was_written(self) -> None:
        """A record is read by its kind alone, so that a run with this objective can be opened."""
        plain = self.objective.plain()
        assert plain["kind"] == self.objective.kind
        assert _read(plain) == self.objective
        assert OBJECTIVES.get(self.objective.kind) is type(self.objective)

    def test_its_weight_is_written_where_it_is_not_1(self) -> None:
        """Recipes of the first release, which have no weights, are written as before."""
        light = self.objective.model_copy(update={"weight": 0.25})
        assert _read(light.plain()).weight == 0.25
        assert "weight" not in self.objective.model_copy(update={"weight": 1.0}).plain()

    def test_every_part_is_one_finite_value_an_example(self) -> None:
        """Losses are float32 and have the names in `parts`."""
        example = self.example()
        losses = self._losses(example)
        assert tuple(losses) == self.objective.parts
        for part, (weight, loss) in losses.items():
            assert weight > 0, part
            assert loss.shape == (example.size,), part
            assert loss.dtype == torch.float32, part
            assert bool(loss.isfinite().all()), part

    def test_an_examples_loss_depends_on_that_example_alone(self) -> None:
        """Needed because a step can be cut into pieces anywhere, and some rows do not count."""
        example = self.example()
        for part, (_, loss) in self._losses(example).items():
            for output in _tensors(example.output):
                gradient = torch.autograd.grad(loss[0], output, retain_graph=True, allow_unused=True)[0]
                assert gradient is None or not bool(gradient[1:].any()), part

    def test_a_gradient_reaches_the_student(self) -> None:
        """Every part has a gradient with respect to at least one output."""
        example = self.example()
        for part, (_, loss) in self._losses(example).items():
            gradients = torch.autograd.grad(loss.sum(), _tensors(example.output), retain_graph=True, allow_unused=True)
            assert any(gradient is not None and bool(gradient.any()) for gradient in gradients), part

    def test_its_own_weights_learn(self) -> None:
        """Every weight of the objective's own module has a gradient."""
        module = self.objective.module(self.sides())
        for part, (_, loss) in self._losses(self.example(), module).items():
            if module is not None and list(module.parameters()):
                gradients = torch.autograd.grad(loss.sum(), list(module.parameters()), allow_unused=True)
                assert all(gradient is not None for gradient in gradients), part

    def test_a_weight_of_0_gives_no_gradient(self) -> None:
        """With weight 0 the loss is only logged."""
        from students.train.losses import weighted

        without = self.objective.model_copy(update={"weight": 0.0})
        assert weighted({"it": without}, {"it": self._losses(self.example())}) is None

    def test_sides_that_fit_are_taken(self) -> None:
        """Sides that can be compared are not refused."""
        self.objective.check(self.sides())

    def test_sides_that_do_not_fit_are_refused_with_both_named_and_a_way_out(self) -> None:
        """The check raises Mismatch, with a hint."""
        misfits = self.misfits()
        assert misfits
        for sides, words in misfits:
            refusal = self._refusal(sides)
            assert refusal is not None, f"it was not refused: {words}"
            assert refusal.hint, refusal.message
            assert all(word in refusal.message for word in words), (refusal.message, words)

    def test_without_a_teacher_it_needs_no_signal(self) -> None:
        """`without_teacher` gives None or an objective that needs no signal."""
        bare = self.objective.without_teacher()
        assert bare is None or not bare.needs().signals

    def test_without_classes_it_needs_none(self) -> None:
        """`without_classes` gives None or an objective that needs no true class."""
        bare = self.objective.without_classes()
        assert bare is None or CLASS not in bare.needs().columns

    def test_it_says_what_it_learns_from(self) -> None:
        """`described` is a few words on one line."""
        assert self.objective.described.strip()
        assert "\n" not in self.objective.described

    def _refusal(self, sides: Sides) -> Mismatch | None:
        try:
            self.objective.check(sides)
        except Mismatch as refusal:
            return refusal
        return None

    def _losses(self, example: Example, module: nn.Module | None = None) -> dict[str, tuple[float, Tensor]]:
        for output in _tensors(example.output):
            output.requires_grad_()
        module = module or self.objective.module(self.sides())
        return self.objective.losses(example.output, example.signals, example.truths, module)


def _tensors(output: Mapping[str, Any]) -> list[Tensor]:
    """All tensors of an output, those in lists of layers included."""
    return [tensor for value in output.values() for tensor in (value if isinstance(value, list) else [value])]


def _read(plain: dict[str, Any]) -> Objective:
    from pydantic import TypeAdapter

    return TypeAdapter(AnyObjective).validate_python(plain)
