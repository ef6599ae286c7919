"""Objectives and constraints in a recipe: one or several, told apart by their kind."""

import json

import pytest
from pydantic import ValidationError

from kdcache.config.presets import load_config, preset_names
from kdcache.errors import UsageError
from students.constraints.frozen_norms import FrozenNorms
from students.objectives.labels import Labels
from students.recipe import Recipe
from students.runs.checkpoint import State
from students.runs.metrics import read_metrics

USUAL = {"epochs": 1, "batch": 8, "optimiser": {"rate": 1e-3, "decay": 0.01}}
BOTH = {"labels": {"kind": "labels", "soft": 0.5}, "hint": {"kind": "hint", "weight": 0.25}}


def recipe(**more) -> Recipe:
    return Recipe.from_plain(USUAL | more)


@pytest.mark.parametrize("name", preset_names("recipes"))
def test_every_preset_is_written_as_it_is_read(name):
    loaded = load_config("recipes", name, Recipe, environ={}).value
    assert Recipe.from_plain(loaded.plain()) == loaded


def test_one_objective_is_written_as_the_first_release_wrote_it():
    plain = recipe(objective={"soft": 1.0}).plain()
    usual = {"soft": 1.0, "hard": 0.0, "temperature": 1.0, "tail": "uniform", "smoothing": 0.0}
    assert plain["objective"] == {"kind": "labels", **usual}
    assert not {"objectives", "constraints"} & plain.keys()
    assert plain["frozen_norms"] is False
    assert list(recipe().losses) == ["labels"], "a recipe that says nothing has soft labels"


def test_several_objectives_have_names_and_weights():
    both = recipe(objectives=BOTH)
    assert list(both.losses) == ["labels", "hint"]
    assert both.losses["hint"].weight == 0.25
    assert both.needs.signals == ("logits", "embedding")
    assert both.needs.outputs == ("logits", "embedding")
    assert "objective" not in both.plain()
    assert Recipe.from_plain(json.loads(json.dumps(both.plain()))) == both


def test_frozen_norms_are_a_constraint():
    named = recipe(constraints=[{"kind": "frozen-norms"}])
    assert recipe(frozen_norms=True).all_constraints == (FrozenNorms(),) == named.all_constraints
    assert recipe(frozen_norms=True).freezes_norms
    assert not recipe(constraints=[{"kind": "pruned", "share": 0.5}]).freezes_norms


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["objective.kind=lables"], "objective: no objective is of the kind 'lables'; did you mean labels?"),
        (["objective.sfot=1"], "objective.sfot: unknown key; did you mean soft?"),
        (["objectives.hint.kind=hint"], "it has both `objective` and `objectives` (hint): leave one out"),
        (["objective=3"], "objective: 3 should be keys and values with a kind"),
        (["constraints=[{kind: prund}]"], "constraints.0: no constraint is of the kind 'prund'; did you mean pruned?"),
        (["constraints=[{kind: pruned, share: 2}]"], "constraints.0.share: 2 should be less than 1"),
        (["objective.weight=0"], "all objectives have weight 0: nothing would be learnt"),
        (["objective.weight=-1"], "objective.weight: -1 should be greater than or equal to 0"),
    ],
)
def test_a_mistake_is_told_where_it_stands(settings, message):
    with pytest.raises(UsageError) as refused:
        load_config("recipes", "own", Recipe, settings, environ={})
    assert message in str(refused.value)


def test_a_mistake_in_one_of_several_names_it(tmp_path):
    file = tmp_path / "both.yaml"
    file.write_text(json.dumps(USUAL | {"objectives": BOTH}))
    with pytest.raises(UsageError, match=r"objectives\.hint\.wieght: unknown key; did you mean weight\?"):
        load_config("recipes", str(file), Recipe, ["objectives.hint.wieght=1"], environ={})
    changed = load_config("recipes", str(file), Recipe, ["objectives.labels.hard=1"], environ={}).value
    assert changed.losses["labels"] == Labels(soft=0.5, hard=1.0)


@pytest.mark.parametrize("name", ["", "a.b", "a/b", "x" * 33, "é"])
def test_a_name_is_short_and_plain(name):
    """It becomes part of file contents, charts and settings."""
    with pytest.raises(ValidationError):
        recipe(objectives={name: {"kind": "labels"}})


def test_there_are_only_so_many():
    with pytest.raises(ValidationError):
        recipe(objectives={f"hint{n}": {"kind": "hint"} for n in range(17)})


@pytest.mark.parametrize(
    ("sums", "parts", "named"),
    [
        ([6.0, 6.0, 0.0, 8.0], ("labels.soft",), {"labels.soft": 6.0}),
        ([6.0, 0.0, 6.0, 8.0], ("labels.hard",), {"labels.hard": 6.0}),
        ([6.0, 2.0, 4.0, 8.0], ("labels.soft", "labels.hard"), {"labels.soft": 2.0, "labels.hard": 4.0}),
        ([6.0, 0.0, 0.0, 8.0], ("match.mse",), {"match.mse": 6.0}),
        ([6.0, 6.0, 0.0, 8.0], ("labels.soft", "hint.mse", "shape.mse"), None),
    ],
)
def test_sums_of_the_first_release_are_read(sums, parts, named):
    """It kept four numbers without names, whatever the objective was."""
    assert State(pending=sums).sums(parts) == (named and {"loss": 6.0, **named, "images": 8.0})


def test_losses_of_the_first_release_are_read_under_their_names_now(tmp_path):
    usual = {"kind": "train", "step": 2, "epoch": 1, "loss": 3.0, "images": 8, "seconds": 1.0, "waiting": 0.1}
    lines = [
        usual | {"soft": 1.0, "hard": 2.0},
        usual | {"soft": None, "hard": 2.0},
        usual | {"losses": {"hint.mse": 3.0}},
    ]
    file = tmp_path / "metrics.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    losses = [line["losses"] for line in read_metrics(file)]
    assert losses == [{"labels.soft": 1.0, "labels.hard": 2.0}, {"labels.hard": 2.0}, {"hint.mse": 3.0}]
