"""What is held true while a student learns."""

import pytest
import torch

from kdcache.errors import Mismatch
from students.constraints.frozen import Frozen
from students.constraints.frozen_norms import FrozenNorms
from students.constraints.pruned import Pruned
from students.constraints.registry import CONSTRAINTS
from students.testing.constraints import ConstraintContract


class TestFrozenNorms(ConstraintContract):
    constraint = FrozenNorms()

    def test_statistics_stay_and_weights_learn(self):
        network = self.network()
        before = {name: value.clone() for name, value in network.state_dict().items()}
        after = self._train(network, 0, 3)
        changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
        assert {"1.weight", "1.bias", "0.weight"} <= changed
        assert not {"1.running_mean", "1.running_var", "1.num_batches_tracked"} & changed


class TestFrozen(ConstraintContract):
    constraint = Frozen(trained="4")

    def test_nothing_but_the_module_changes(self):
        network = self.network()
        before = {name: value.clone() for name, value in network.state_dict().items()}
        after = self._train(network, 0, 3)
        assert {name for name, value in after.items() if not torch.equal(value, before[name])} == {"4.weight", "4.bias"}

    def test_a_network_without_that_module_is_refused_with_those_there_are(self):
        with pytest.raises(Mismatch, match=r"only head\.fc, but the network has no parameters there") as refusal:
            Frozen(trained="head.fc").prepare(self.network())
        assert refusal.value.hint == "name a module of the network, such as 4"


class TestPruned(ConstraintContract):
    constraint = Pruned(share=0.75)

    def test_the_smallest_weights_are_zero_after_every_step(self):
        network = self.network()
        sizes = network[4].weight.detach().abs().flatten()
        smallest = set(sizes.argsort()[: round(0.75 * len(sizes))].tolist())
        self._train(network, 0, 3)
        weights = network[4].weight.detach().flatten()
        assert {n for n, weight in enumerate(weights.tolist()) if weight == 0} == smallest
        assert (network[0].weight == 0).float().mean().item() == 0.75
        assert network[4].bias.all(), "vectors are left alone"


def test_every_constraint_of_the_repository_is_tested_here():
    tested = {case.constraint.kind for case in ConstraintContract.__subclasses__()}
    assert set(CONSTRAINTS.names()) <= tested
