"""Rates, decay and layers as the recipe says them."""

import pytest
import torch

from kdcache.errors import Unavailable
from students.base.contracts import Group
from students.recipe import Optimiser, Recipe
from students.train.average import Average
from students.train.optimise import Pace, optimisers

ASK = Optimiser(rate=1.0, decay=0.1, warmup=2, first_rate=0.1, last_rate=0.01, layer_decay=0.5)


class Layered(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)


def groups(network: torch.nn.Module, *, spared: bool = True) -> list[Group]:
    """Three layers, whose vectors do not decay."""
    layers = ["first", "second", "head"]
    return [
        Group(name, parameter, layers.index(name.partition(".")[0]), parameter.ndim > 1 or not spared)
        for name, parameter in network.named_parameters()
        if parameter.requires_grad
    ]


def test_the_rate_rises_straight_and_falls_by_half_a_cosine():
    pace = Pace(ASK, steps=110, warmup=10)
    assert [pace(0), pace(5), pace(10)] == pytest.approx([0.1, 0.55, 1.0])
    assert pace(60) == pytest.approx((1.0 + 0.01) / 2)
    assert pace(110) == pytest.approx(0.01)
    assert all(pace(step) >= pace(step + 1) for step in range(10, 110))


def test_layers_towards_the_input_learn_more_slowly_and_vectors_do_not_decay():
    network = Layered()
    made = optimisers(groups(network), ASK, fused=False)
    made.set_rate(0.8)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    found = {names[id(p)]: (g["lr"], g["weight_decay"]) for g in made.groups for p in g["params"]}
    assert found == {
        "first.weight": (0.2, 0.1),
        "first.bias": (0.2, 0.0),
        "second.weight": (0.4, 0.1),
        "second.bias": (0.4, 0.0),
        "head.weight": (0.8, 0.1),
        "head.bias": (0.8, 0.0),
    }


def test_moments_are_averaged_as_the_recipe_says():
    asked = ASK.model_copy(update={"betas": (0.5, 0.7), "eps": 0.25})
    made = optimisers(groups(Layered(), spared=False), asked, fused=False)
    assert {(group["betas"], group["eps"]) for group in made.groups} == {((0.5, 0.7), 0.25)}


def test_without_layer_decay_all_learn_alike():
    flat = ASK.model_copy(update={"layer_decay": 1.0})
    assert {group["share"] for group in optimisers(groups(Layered()), flat, fused=False).groups} == {1.0}


def test_what_is_frozen_is_not_trained():
    network = Layered()
    network.first.requires_grad_(False)
    made = optimisers(groups(network, spared=False), ASK, fused=False)
    assert sum(len(group["params"]) for group in made.groups) == 4


def test_muon_trains_the_matrices_but_those_of_the_classifier_and_adamw_the_rest():
    network, asked = Layered(), ASK.model_copy(update={"matrix_rate": 3.0})
    adamw, muon = optimisers(groups(network), asked, fused=False, classifier="head").each
    trained = {id(parameter) for group in muon.param_groups for parameter in group["params"]}
    assert trained == {id(network.first.weight), id(network.second.weight)}
    assert sum(len(group["params"]) for group in adamw.param_groups) == 4


def test_matrices_have_their_own_rate_which_layers_scale_alike():
    asked = ASK.model_copy(update={"matrix_rate": 3.0})
    made = optimisers(groups(Layered()), asked, fused=False, classifier="head")
    made.set_rate(0.5)
    assert sorted(group["lr"] for group in made.each[1].param_groups) == pytest.approx([0.5 * 3 / 4, 0.5 * 3 / 2])
    assert {group["weight_decay"] for group in made.each[1].param_groups} == {0.1}


def test_a_torch_without_muon_is_told(monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(Unavailable, match="no Muon"):
        optimisers(groups(Layered()), ASK.model_copy(update={"matrix_rate": 3.0}), fused=False)


def test_recipes_without_muon_are_written_as_before():
    assert "matrix_rate" not in ASK.plain()
    assert ASK.model_copy(update={"matrix_rate": 3.0}).plain()["matrix_rate"] == 3.0


def test_rates_grow_with_the_batch():
    recipe = Recipe(epochs=1.0, batch=128, optimiser=ASK).with_batch(512)
    assert recipe.batch == 512
    assert (recipe.optimiser.rate, recipe.optimiser.first_rate, recipe.optimiser.last_rate) == (4.0, 0.4, 0.04)
    both = Recipe(epochs=1.0, batch=128, optimiser=ASK.model_copy(update={"matrix_rate": 3.0})).with_batch(512)
    assert both.optimiser.matrix_rate == 12.0


def test_the_average_follows_and_begins_quickly():
    network = torch.nn.BatchNorm1d(2)
    average = Average(network, 0.9)
    with torch.no_grad():
        network.weight.fill_(3.0)
        network.running_mean.fill_(7.0)
    average.follow(network, 0)
    assert average.network.weight.tolist() == pytest.approx([0.1 * 1 + 0.9 * 3] * 2)
    average.follow(network, 10**6)
    assert average.network.weight.tolist() == pytest.approx([0.9 * 2.8 + 0.1 * 3] * 2)
    assert average.network.running_mean.tolist() == [7.0, 7.0]
