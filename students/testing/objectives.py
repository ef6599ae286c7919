"""What every objective must keep, as tests. A package that brings one runs them on it:

    class TestMine(ObjectiveContract):
        objective = Mine(weight=0.5)

        def sides(self): return Sides(signals={…}, outputs={…}, spec=…)
        def example(self): return Example(output={…}, signals={…}, truths={…})
        def misfits(self): return [(Sides(…), ("the teacher's 3", "the student's 4"))]

torch is needed, pytest is not: a failed promise is an AssertionError.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from kdcache.errors import Mismatch
from students.base.contracts import Needs
from students.base.objective import Objective, Sides
from students.objectives.registry import OBJECTIVES, AnyObjective


class Example(NamedTuple):
    """What one piece of a step has, of at least two examples. Floating outputs are made to need a gradient."""

    output: Mapping[str, Any]
    signals: Mapping[str, Any]
    truths: Mapping[str, Any]
    size: int
    """Number of examples."""


class ObjectiveContract:
    """Promises of one objective; see the module."""

    objective: ClassVar[Objective]

    def sides(self) -> Sides:
        """Two sides that it can compare."""
        raise NotImplementedError

    def example(self) -> Example:
        """Outputs, signals and truths of these sides."""
        raise NotImplementedError

    def misfits(self) -> Sequence[tuple[Sides, tuple[str, ...]]]:
        """Sides that it cannot compare, and what the refusal must name of both."""
        raise NotImplementedError

    def test_its_needs_are_data(self) -> None:
        """Known without a student, a teacher or an image; the example has nothing that was not asked for."""
        needs, example = self.objective.needs(), self.example()
        assert isinstance(needs, Needs)
        assert needs.outputs, "an objective that looks at nothing the student gives cannot teach it"
        assert set(needs.outputs) == set(example.output)
        assert set(needs.signals) == set(example.signals)
        assert set(needs.columns) == set(example.truths)

    def test_it_is_read_back_as_it_was_written(self) -> None:
        """By its kind alone, so that a run that has it can be opened."""
        plain = self.objective.plain()
        assert plain["kind"] == self.objective.kind
        assert _read(plain) == self.objective
        assert OBJECTIVES.get(self.objective.kind) is type(self.objective)

    def test_its_weight_is_written_where_it_is_not_1(self) -> None:
        """Recipes from before there were weights stay as they were."""
        light = self.objective.model_copy(update={"weight": 0.25})
        assert _read(light.plain()).weight == 0.25
        assert "weight" not in self.objective.model_copy(update={"weight": 1.0}).plain()

    def test_every_part_is_one_finite_value_an_example(self) -> None:
        """In float32, under the names that were announced."""
        example = self.example()
        losses = self._losses(example)
        assert tuple(losses) == self.objective.parts
        for part, (weight, loss) in losses.items():
            assert weight > 0, part
            assert loss.shape == (example.size,), part
            assert loss.dtype == torch.float32, part
            assert bool(loss.isfinite().all()), part

    def test_an_examples_loss_depends_on_that_example_alone(self) -> None:
        """A step may be cut into pieces anywhere, and rows that do not count weigh nothing."""
        example = self.example()
        for part, (_, loss) in self._losses(example).items():
            for output in _tensors(example.output):
                gradient = torch.autograd.grad(loss[0], output, retain_graph=True, allow_unused=True)[0]
                assert gradient is None or not bool(gradient[1:].any()), part

    def test_a_gradient_reaches_the_student(self) -> None:
        """Of every part, through at least one of the outputs it asked for."""
        example = self.example()
        for part, (_, loss) in self._losses(example).items():
            gradients = torch.autograd.grad(loss.sum(), _tensors(example.output), retain_graph=True, allow_unused=True)
            assert any(gradient is not None and bool(gradient.any()) for gradient in gradients), part

    def test_its_own_weights_learn(self) -> None:
        """Each of them has a gradient, or it would be kept for nothing."""
        module = self.objective.module(self.sides())
        for part, (_, loss) in self._losses(self.example(), module).items():
            if module is not None and list(module.parameters()):
                gradients = torch.autograd.grad(loss.sum(), list(module.parameters()), allow_unused=True)
                assert all(gradient is not None for gradient in gradients), part

    def test_a_weight_of_0_gives_no_gradient(self) -> None:
        """It is then logged and learns nothing."""
        from students.train.losses import weighted

        without = self.objective.model_copy(update={"weight": 0.0})
        assert weighted({"it": without}, {"it": self._losses(self.example())}) is None

    def test_sides_that_fit_are_taken(self) -> None:
        """Nothing is refused that can be compared."""
        self.objective.check(self.sides())

    def test_sides_that_do_not_fit_are_refused_with_both_named_and_a_way_out(self) -> None:
        """Before the first step."""
        misfits = self.misfits()
        assert misfits
        for sides, words in misfits:
            refusal = self._refusal(sides)
            assert refusal is not None, f"it was not refused: {words}"
            assert refusal.hint, refusal.message
            assert all(word in refusal.message for word in words), (refusal.message, words)

    def test_without_a_teacher_it_needs_no_signal(self) -> None:
        """Or there is nothing left of it."""
        bare = self.objective.without_teacher()
        assert bare is None or not bare.needs().signals

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
    """All of an output, lists of layers included."""
    return [tensor for value in output.values() for tensor in (value if isinstance(value, list) else [value])]


def _read(plain: dict[str, Any]) -> Objective:
    from pydantic import TypeAdapter

    return TypeAdapter(AnyObjective).validate_python(plain)
