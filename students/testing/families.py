"""Tests of what every student family must do. A package with a family of its own runs them:

    class TestMine(FamilyContract):
        family = FAMILY
        spec = FAMILY.spec(name="mine", family="mine", ...)      # as small as possible

A subclass may override `signals` and `truths` if its batches need more than pixels.
"""

import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from students.base.contracts import Family, Needs
from students.families.spec import StudentSpec

ROWS = 3
"""Number of images in a batch, chosen so that other axes of a small student are unlikely to have the same length."""


class FamilyContract:
    """Tests of one family, with one small student."""

    family: ClassVar[Family[Any]]
    spec: ClassVar[StudentSpec]
    tolerance: ClassVar[float] = 1e-4
    """Largest accepted difference, as a fraction of the largest value, between passes that sum in different orders."""

    def signals(self, rows: int) -> Mapping[str, Any]:
        """Signals that the family needs in a batch that has pixels."""
        return {}

    def truths(self, rows: int) -> Mapping[str, Any]:
        """Truths that the family needs in a batch."""
        return {}

    def built(self, seed: int = 0) -> nn.Module:
        """The network, with weights drawn with this seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.family.build(self.spec)

    def pixels(self, rows: int = ROWS) -> Tensor:
        """Normalised pixels, the same at every call."""
        return torch.randn((rows, 3, *self.spec.input), generator=torch.Generator().manual_seed(7))

    def step(self, network: nn.Module, outputs: frozenset[str]) -> dict[str, Any]:
        """The outputs that a training step gets, in the network's present mode."""
        module = self.family.trained(network, self.spec, outputs)
        arguments = self.family.batch(self.pixels(), self.signals(ROWS), self.truths(ROWS), self.spec)
        output: dict[str, Any] = module(**arguments)
        return output

    def test_the_record_is_its_own_and_comes_back_from_json(self) -> None:
        """A run's record is read by the family named in its field `family`, and is unchanged by JSON."""
        assert isinstance(self.spec, self.family.spec)
        assert self.spec.family == self.family.name
        assert issubclass(self.family.spec, StudentSpec)
        again = self.family.spec.from_plain(json.loads(json.dumps(self.spec.plain())))
        assert again == self.spec
        assert again.plain() == self.spec.plain()
        assert json.dumps(self.spec.counted())

    def test_needs_and_defaults_are_data(self) -> None:
        """Needs and defaults are known before anything is opened, and needs can be written as JSON."""
        needs = self.family.needs(self.spec)
        assert isinstance(needs, Needs)
        assert json.loads(json.dumps(needs.plain())) == needs.plain()
        assert set(needs.instead_of_pixels) <= {*needs.signals, *needs.optional}
        assert needs.pixels(()), "pixels are needed when no signal replaces them"
        assert self.family.description
        assert self.family.defaults.task
        assert self.family.defaults.teacher

    def test_a_seed_decides_every_weight(self) -> None:
        """The same seed gives the same bits, another seed gives other ones."""
        first, again, other = (self.built(seed).state_dict() for seed in (1, 1, 2))
        assert first.keys() == again.keys()
        assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
        assert any(not torch.equal(tensor, other[name]) for name, tensor in first.items())

    def test_a_step_gets_exactly_the_outputs_it_asks_for(self) -> None:
        """Each output has a row per image, is finite and has a gradient."""
        declared = self.family.outputs(self.spec)
        network = self.built().train()
        for asked in (*({name} for name in declared), set(declared)):
            output = self.step(network, frozenset(asked))
            assert set(output) == asked
            for name, value in output.items():
                for tensor in _tensors(value):
                    assert tensor.shape[0] == ROWS, f"{name} has no row for each image"
                    assert tensor.isfinite().all(), f"{name} is not finite"
                    assert tensor.requires_grad, f"nothing can be learnt from {name}"
            if "logits" in output and self.spec.classes:
                assert output["logits"].shape == (ROWS, len(self.spec.classes))
            if "layers" in output:
                assert len(output["layers"]) == self.spec.layers

    def test_outputs_asked_for_together_are_those_asked_for_alone(self) -> None:
        """The value of an output does not depend on which others are requested with it."""
        network, declared = self.built().eval(), self.family.outputs(self.spec)
        with torch.no_grad():
            together = self.step(network, frozenset(declared))
            for name in declared:
                alone = self.step(network, frozenset({name}))[name]
                for one, other in zip(_tensors(alone), _tensors(together[name]), strict=True):
                    self.alike(one, other)

    def test_the_step_trains_the_network_itself(self) -> None:
        """Gradients reach the network; `uses_all` is true only if every trained parameter gets one."""
        for name in self.family.outputs(self.spec):
            network = self.built().train()
            module = self.family.trained(network, self.spec, frozenset({name}))
            values = _tensors(self.step(network, frozenset({name}))[name])
            torch.autograd.backward(sum((value.float().square().sum() for value in values), torch.zeros(())))
            trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
            reached = [parameter for parameter in trained if parameter.grad is not None]
            assert reached, f"{name} trains nothing"
            assert not getattr(module, "uses_all", False) or len(reached) == len(trained)

    def test_groups_hold_every_trained_parameter_once(self) -> None:
        """Layers start with 0 at the input, and vectors have no weight decay."""
        network = self.built()
        groups = list(self.family.groups(network, self.spec))
        trained = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]
        assert [(group.name, id(group.parameter)) for group in groups] == [(name, id(each)) for name, each in trained]
        assert min(group.layer for group in groups) == 0
        assert not any(group.decays for group in groups if group.parameter.ndim <= 1), "vectors do not decay"

    def test_heads_answer_a_row_for_each_image(self) -> None:
        """A head's output is the same at every call and does not depend on the other images of the batch."""
        network = self.built().eval()
        heads = self.family.heads(network, self.spec)
        assert heads
        with torch.inference_mode():
            for head in heads.values():
                assert head.description
                found = head(self.pixels())
                assert found.shape[0] == ROWS
                assert torch.equal(found, head(self.pixels()))
                self.alike(found[:1], head(self.pixels()[:1]))
            if "logits" in heads:
                assert heads["logits"](self.pixels()).shape == (ROWS, len(self.spec.classes))
            if "embedding" in heads:
                assert heads["embedding"](self.pixels()).ndim == 2

    def test_heads_and_outputs_of_a_name_are_the_same(self) -> None:
        """A head and an output of the same name agree, so that what is trained is also what is judged."""
        network = self.built().eval()
        heads = self.family.heads(network, self.spec)
        with torch.no_grad():
            for name in set(heads) & set(self.family.outputs(self.spec)):
                self.alike(heads[name](self.pixels()), self.step(network, frozenset({name}))[name])

    def test_traced_heads_are_the_heads(self) -> None:
        """A traced head computes the same as the head, so that an export agrees with `kd eval`."""
        for name in self.family.heads(self.built().eval(), self.spec):
            network = self.built().eval()
            with torch.no_grad():
                wanted = self.family.heads(network, self.spec)[name](self.pixels())
                self.alike(self.family.traced(network, self.spec, name)(self.pixels()), wanted)

    def test_its_own_weights_are_adopted_as_they_are(self) -> None:
        """Weights of a run are adopted without any change."""
        network = self.built()
        own = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        adopted = self.family.adopt(own, network, self.spec)
        assert adopted.changed == ()
        assert adopted.tensors.keys() == own.keys()
        assert all(torch.equal(tensor, own[name]) for name, tensor in adopted.tensors.items())

    def test_its_classifier_has_a_row_each_class(self) -> None:
        """The classifier has one row per class: a training that starts from it picks rows by class."""
        if self.family.classifier is None:
            assert "logits" not in self.family.outputs(self.spec)
            return
        state = self.built().state_dict()
        for end in ("weight", "bias"):
            assert state[f"{self.family.classifier}.{end}"].shape[0] == len(self.spec.classes)

    def test_its_exporters_can_be_imported(self) -> None:
        """Every export format names a function that can be imported."""
        for place in self.family.exports.values():
            module, colon, name = place.partition(":")
            assert colon
            assert callable(getattr(import_module(module), name))

    def alike(self, one: Tensor, other: Tensor) -> None:
        """Assert that two tensors agree, up to `tolerance`."""
        assert one.shape == other.shape
        furthest = float((one.float() - other.float()).abs().max())
        assert furthest <= self.tolerance * max(1.0, float(other.float().abs().max())), f"they differ by {furthest:.2e}"


def _tensors(value: Any) -> list[Tensor]:
    """The tensors of an output, which is one tensor or a list with one per layer."""
    return [value] if isinstance(value, Tensor) else list(value)
