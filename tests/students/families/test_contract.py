"""Both families of this repository keep what every family promises."""

from pathlib import Path
from typing import ClassVar

import pytest
import torch

from kdcache.networks.data2vec_shape import Data2VecShape
from kdcache.views.recipe import Plain
from students.families.data2vec import FAMILY as DATA2VEC
from students.families.data2vec.spec import Blocks, Data2VecSpec
from students.families.registry import FAMILIES
from students.families.tinyvit import FAMILY as TINYVIT
from students.families.tinyvit.spec import TinyViTSpec
from students.testing.families import FamilyContract

SEEN = {
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "geometry": Plain(fit="crop"),
}
ENCODER = Data2VecShape(image=32, patch=8, dim=16, heads=2, prenet=1, depth=4, targets=3)


class TestTinyViT(FamilyContract):
    family = TINYVIT
    spec: ClassVar = TinyViTSpec(
        name="small", family="tinyvit", input=(64, 64), classes=("a", "b", "c", "d"), widths=(8, 16, 24, 40),
        depths=(1, 1, 2, 1), heads=(1, 2, 3, 5), windows=(2, 2, 4, 2), **SEEN,
    )  # fmt: skip


class TestNamedTinyViT(FamilyContract):
    """As the first release wrote it."""

    family = TINYVIT
    spec: ClassVar = TinyViTSpec(
        name="tinyvit-5m", family="tinyvit", network="tiny_vit_5m_224", input=(64, 64), classes=("a", "b"),
        windows=(2, 2, 4, 2), **SEEN,
    )  # fmt: skip


class TestData2Vec(FamilyContract):
    family = DATA2VEC
    spec: ClassVar = Data2VecSpec(
        name="small", family="data2vec", input=(32, 32), classes=(), **SEEN,
        blocks=Blocks(depth=2, heads=2, hidden=32, alibi=True, encoder=ENCODER),
    )  # fmt: skip

    def test_tokens_of_the_teacher_stand_for_the_pixels(self):
        network = self.built().eval()
        with torch.no_grad():
            tokens = network.encoder(self.pixels())
            module = DATA2VEC.trained(network, self.spec, frozenset({"final"}))
            seen = module(**DATA2VEC.batch(self.pixels(), {}, {}, self.spec))["final"]
            spared = module(**DATA2VEC.batch(None, {"inputs": tokens}, {}, self.spec))["final"]
        assert torch.equal(seen, spared)
        assert not DATA2VEC.needs(self.spec).pixels(["inputs", "targets"])


def test_families_are_the_folders_there_are():
    root = Path(__file__).parents[3] / "students/families"
    folders = {path.parent.name for path in root.glob("*/__init__.py")}
    assert set(FAMILIES.names()) >= folders == {"tinyvit", "data2vec"}
    assert {name: family.name for name, family in FAMILIES} == {name: name for name in FAMILIES.names()}


@pytest.mark.parametrize(
    ("method", "wrong", "test"),
    [
        (
            "groups",
            lambda network, spec: list(TINYVIT.groups(network, spec))[1:],
            "test_groups_hold_every_trained_parameter_once",
        ),
        ("outputs", lambda spec: ("logits", "tokens"), "test_a_step_gets_exactly_the_outputs_it_asks_for"),
        ("build", lambda spec: _constant(spec), "test_a_seed_decides_every_weight"),
        ("heads", lambda network, spec: {}, "test_heads_answer_a_row_for_each_image"),
    ],
)
def test_a_family_that_breaks_a_promise_is_caught(method, wrong, test, monkeypatch):
    broken = type(TINYVIT)()
    monkeypatch.setattr(broken, method, wrong)
    suite = type("Suite", (TestTinyViT,), {"family": broken})()
    with pytest.raises(AssertionError):
        getattr(suite, test)()


def _constant(spec):
    network = TINYVIT.build(spec)
    for tensor in network.state_dict().values():
        tensor.zero_()
    return network
