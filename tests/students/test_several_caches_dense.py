"""Several caches and a student that begins with its teacher's encoder: that teacher, and `inputs`, are those of the first."""

from pathlib import Path

import pytest

from kdcache.errors import Mismatch, UsageError
from tests.students.conftest import build_cache, learn, losses_of, same
from tests.students.test_dense import dense_cache
from tests.students.test_several_caches import several

HINTED = "objective={kind: hint, signal: inputs, output: final}"


@pytest.fixture(scope="module")
def caches(tmp_path_factory) -> dict[str, Path]:
    """One teacher's targets, another's `inputs`, and logits of a third, of the same views."""
    folder = tmp_path_factory.mktemp("dense")
    return {
        "targets": dense_cache(folder / "targets", signals=("targets",)),
        "whole": dense_cache(folder / "whole", signals=("inputs", "targets")),
        "inputs": dense_cache(folder / "inputs", signals=("inputs",)),
        "logits": build_cache(folder / "logits", data="shapes:count=48,size=64", recipe="data2vec"),
    }


def teach(out: Path, cache, **asked):
    return learn(out, cache, student="data2vec-nano", size=None, steps=3, **asked)[0]


@pytest.fixture(scope="module")
def alone(caches, tmp_path_factory):
    return teach(tmp_path_factory.mktemp("dense") / "alone", caches["targets"])


@pytest.mark.parametrize("second", ["inputs", "logits"])
def test_signals_of_another_teacher_are_no_inputs_of_this_student(second, caches, tmp_path):
    """So nothing is read from that cache, and it is refused."""
    with pytest.raises(UsageError, match=f"nothing is read from --cache .*: it keeps {second}, and the recipe reads"):
        teach(tmp_path / "run", several(caches["targets"], caches[second]))


def test_an_objective_cannot_put_them_in_their_place_either(caches, tmp_path):
    with pytest.raises(Mismatch, match="data2vec-nano begins with the teacher of") as refusal:
        teach(tmp_path / "run", several(caches["targets"], caches["inputs"]), settings=(HINTED,))
    assert str(caches["inputs"]) in refusal.value.message
    assert refusal.value.hint == "name the cache of that teacher first"


def test_inputs_in_two_caches_are_refused_with_a_way_to_leave_one_out(caches, tmp_path):
    pair = several(caches["whole"], caches["inputs"])
    with pytest.raises(Mismatch, match="both keep inputs: it is not clear which is meant") as refusal:
        teach(tmp_path / "run", pair)
    assert refusal.value.hint == f"leave out --cache {caches['inputs']}"
    with pytest.raises(Mismatch, match="both keep inputs") as refusal:
        teach(tmp_path / "run", several(caches["inputs"], caches["whole"]))
    assert refusal.value.hint == f"kd cache convert {caches['whole']} --signal targets --out DIR"


def test_targets_are_matched_by_the_name_of_their_cache(caches, alone, tmp_path):
    """Both caches keep the same targets, of the same teacher."""
    settings = ("objective.signal=other.targets",)
    run = teach(tmp_path / "run", several(mine=caches["targets"], other=caches["whole"]), settings=settings)
    assert losses_of(run) == losses_of(alone)
    assert same(run, alone)


def test_a_first_cache_of_another_teacher_is_refused(caches, tmp_path):
    with pytest.raises(Mismatch, match="data2vec-nano shares the encoder of"):
        teach(tmp_path / "run", several(caches["logits"], caches["targets"]))
