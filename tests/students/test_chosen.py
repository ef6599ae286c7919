"""Who names no recipe reads what is learnt from, and why; where images have no true classes, that recipe fits all the same."""

import numpy as np
import pytest
from PIL import Image

from kdcache.config.text import about
from kdcache.errors import Mismatch
from students.objectives.hint import Hint
from students.objectives.labels import Labels
from students.objectives.match import Match
from students.options import MachineOptions, TrainOptions
from students.plan.plan import plan_run
from tests.students.conftest import build_cache, learn

MIXED = ("objective.soft=0.7", "objective.hard=0.3", "objective.temperature=2")


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory):
    """A cache of 16 pictures without classes, by a teacher of 100."""
    folder = tmp_path_factory.mktemp("unlabelled")
    (folder / "pictures").mkdir()
    for number in range(16):
        noise = np.random.default_rng(number).integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(noise).save(folder / "pictures" / f"{number}.png")
    return build_cache(folder / "cache", data=str(folder / "pictures"), size="nano")


def planned(cache=None, *, data=None, **asked):
    options = TrainOptions(**{"size": 32, "batch": 8, "val": "none", "cache": cache, **asked})
    plan = plan_run(options, MachineOptions(device="cpu", workers=0, data=data), 1)
    return plan, [note.text for note in plan.notes]


def test_the_note_says_what_is_learnt_from_and_why(cache):
    _, notes = planned(cache, settings=MIXED, epochs=3)
    (note,) = [note for note in notes if note.startswith("no --recipe")]
    assert note == (
        "no --recipe: `demo`, for the embedded images on two CPU cores: soft labels at temperature 2 and true classes, 0.7:0.3; "
        "3 epochs of 8 images; 2 views of the cache"
    )


def test_the_note_counts_the_views_and_steps_that_were_asked_for(cache):
    _, notes = planned(cache, views=(1,), steps=5)
    assert any(note.endswith(": soft labels; 5 steps of 8 images; 1 view of the cache") for note in notes)


def test_the_note_of_images_without_a_teacher_names_their_views():
    _, notes = planned(stream="none", data="shapes:count=32,size=32")
    assert any(
        note.endswith("images; new views by `augment` in every epoch") and "true classes" in note for note in notes
    )


def test_a_recipe_that_was_named_is_not_explained(cache):
    _, notes = planned(cache, recipe="demo")
    assert not any("recipe" in note for note in notes)


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        (Labels(), "soft labels"),
        (Labels(soft=0, hard=1), "true classes"),
        (Labels(temperature=4), "soft labels at temperature 4"),
        (Labels(hard=0.5), "soft labels and true classes, 1:0.5"),
        (Match(signal="targets", loss="mse"), "targets of the teacher"),
        (Hint(signal="features"), "features of the teacher"),
    ],
)
def test_an_objective_says_what_it_learns_from(objective, words):
    assert objective.described == words


def test_the_reason_is_the_first_line_of_the_comment_that_is_no_command():
    assert about("# kd train\n# For x; y. Sources: z\n# more\nbatch: 8  # For w\n") == "For x; y."
    assert about("batch: 8  # only a remark\n# below\n") == ""


def test_the_usual_recipe_learns_from_soft_labels_alone_where_images_have_no_classes(unlabelled, monkeypatch, tmp_path):
    monkeypatch.setenv("KD_RECIPES__OBJECTIVE__HARD", "0.3")
    plan, notes = planned(unlabelled)
    assert plan.record.recipe.objective == Labels()
    assert "the images of pictures have no labels: true classes have no effect" in notes
    run, outcome = learn(tmp_path / "run", unlabelled, steps=1)
    assert (run.record.recipe.objective, outcome.ended) == (Labels(), "done")


def test_true_classes_that_the_user_asked_for_are_refused_where_images_have_none(unlabelled, tmp_path):
    with pytest.raises(Mismatch, match="needs true classes, but the images of pictures have no labels") as refusal:
        learn(tmp_path / "run", unlabelled, steps=1, settings=("objective.hard=0.3",))
    assert "--set objective.hard=0" in (refusal.value.hint or "")


def test_true_classes_are_kept_where_the_images_have_them(cache, monkeypatch):
    monkeypatch.setenv("KD_RECIPES__OBJECTIVE__HARD", "0.3")
    plan, notes = planned(cache)
    assert plan.record.recipe.objective == Labels(hard=0.3)
    assert not any("no effect" in note for note in notes)
