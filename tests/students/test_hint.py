"""A student of soft labels and a hint: two objectives, one with weights of its own, and a constraint beside them."""

import json

import pytest
import torch
from safetensors.torch import load_file

from kdcache.errors import Damage, Mismatch
from tests.students.conftest import build_cache, learn, losses_of, same, trained_by

HINTED = """
epochs: 1
batch: 8
objectives:
  labels: {kind: labels}
  hint: {kind: hint, weight: 0.5, signal: embedding, output: embedding}
  shape: {kind: hint, weight: 0.25, signal: features, output: features, loss: cosine}
optimiser: {rate: 1.0e-3, decay: 0.05}
average: 0.9
views: augment
constraints: [{kind: pruned, share: 0.5}]
"""
CODECS = {"logits": "full", "embedding": "float32", "features": "float32"}
PROJECTIONS = {"objective_hint.linear.weight", "objective_hint.linear.bias"}


@pytest.fixture(scope="module")
def hinted(tmp_path_factory):
    """A recipe, and a cache of all that it needs, to the last bit."""
    folder = tmp_path_factory.mktemp("hinted")
    recipe = folder / "hinted.yaml"
    recipe.write_text(HINTED)
    cache = build_cache(folder / "cache", codecs=CODECS, signals=tuple(CODECS), data="shapes:count=32,size=32")
    return {"cache": cache, "recipe": str(recipe)}


@pytest.fixture(scope="module")
def whole(hinted, tmp_path_factory):
    """Four steps in one go."""
    return learn(tmp_path_factory.mktemp("hinted") / "whole", steps=4, log_every=2, **hinted)[0]


def test_on_stream_is_off_stream_to_the_last_bit(hinted, whole, tmp_path):
    on, _ = learn(tmp_path / "on", steps=4, log_every=2, stream="on", **hinted)
    assert losses_of(on) == losses_of(whole)
    assert same(on, whole)
    assert all(torch.equal(value, beside(whole)[name]) for name, value in beside(on).items())


def test_a_training_that_was_stopped_ends_the_same(hinted, whole, tmp_path):
    """Between two lines of metrics: sums, projections, their moments and the masks are all gone on with."""
    learn(tmp_path / "halves", steps=4, log_every=2, where={"stop_at": 3}, **hinted)
    halves, _ = learn(tmp_path / "halves", resume=True)
    assert same(halves, whole)
    assert [line["losses"] for line in trained(halves)] == [line["losses"] for line in trained(whole)]
    for file in ("objectives", "constraints", "optimiser", "average"):
        mine, theirs = (load_file(run.path / f"checkpoints/00000004/{file}.safetensors") for run in (halves, whole))
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine), file


def test_a_projection_learns_and_is_never_part_of_the_student(hinted, whole, tmp_path):
    assert beside(whole).keys() >= PROJECTIONS
    before = load_file(whole.path / "checkpoints/00000000/objectives.safetensors")
    assert all(not torch.equal(beside(whole)[name], before[name]) for name in PROJECTIONS)
    plain, _ = learn(tmp_path / "plain", hinted["cache"], steps=1)
    for file in ("best", "checkpoints/00000004/model", "checkpoints/00000004/average"):
        there = load_file(whole.path / f"{file}.safetensors")
        assert there.keys() == load_file(plain.weights).keys(), file
    assert not (plain.path / "checkpoints/00000001/objectives.safetensors").exists()
    assert whole.network() is not None


def test_every_loss_is_logged_by_name_and_the_loss_is_their_weighted_sum(whole):
    for line in trained(whole):
        parts = line["losses"]
        assert list(parts) == ["labels.soft", "hint.mse", "shape.cosine"]
        summed = parts["labels.soft"] + 0.5 * parts["hint.mse"] + 0.25 * parts["shape.cosine"]
        assert line["loss"] == pytest.approx(summed, rel=1e-5)


def test_the_page_draws_every_loss(whole, tmp_path):
    from students.report import write_report

    page = write_report(whole, tmp_path / "page.html").read_text("utf-8")
    assert all(name in page for name in ("labels.soft", "hint.mse", "shape.cosine"))


def test_half_of_every_matrix_stays_zero(whole):
    for file in ("best", "checkpoints/00000004/model"):
        for name, weight in load_file(whole.path / f"{file}.safetensors").items():
            if weight.ndim >= 2 and name.endswith("weight"):
                assert (weight == 0).float().mean().item() == pytest.approx(0.5, abs=0.02), (file, name)


@pytest.mark.slow
def test_other_processes_average_the_gradients_of_projections_too(hinted, tmp_path):
    """What frees the batch from norms is a constraint, too: without it two processes would share statistics."""
    asked = [
        "--cache",
        str(hinted["cache"]),
        "--recipe",
        hinted["recipe"],
        "--size",
        "32",
        "--batch",
        "8",
        "--steps",
        "2",
    ]
    asked += ["--set", "constraints=[{kind: frozen-norms}]", "--set", "optimiser.eps=0.001", "--student", "tinyvit-5m"]
    one, two = trained_by(1, tmp_path / "one", *asked), trained_by(2, tmp_path / "two", *asked)
    assert losses_of(one) == pytest.approx(losses_of(two), rel=2e-4)
    for name in PROJECTIONS:
        torch.testing.assert_close(beside(one, 2)[name], beside(two, 2)[name], rtol=1e-3, atol=1e-5)


def test_a_student_of_hints_alone_leaves_its_classifier_as_it_was(hinted, tmp_path):
    settings = ("objectives.labels.weight=0", "constraints=[]", "optimiser.decay=0")
    run, _ = learn(tmp_path / "run", steps=2, settings=settings, **hinted)
    kept = [load_file(run.path / f"checkpoints/0000000{step}/model.safetensors") for step in (0, 2)]
    assert torch.equal(kept[0]["head.fc.weight"], kept[1]["head.fc.weight"])
    assert not torch.equal(kept[0]["head.norm.weight"], kept[1]["head.norm.weight"])
    assert [line["losses"]["labels.soft"] > 0 for line in trained(run)] == [True, True], "it is logged all the same"


def test_a_cache_without_the_signal_of_the_hint_is_refused(hinted, cache, tmp_path):
    with pytest.raises(Mismatch, match=r"keeps logits, but the recipe needs embedding and features") as refusal:
        learn(tmp_path / "run", cache, steps=1, recipe=hinted["recipe"])
    assert refusal.value.hint == "kd cache build --teacher florence --size nano --signal logits,embedding,features"


def test_a_student_that_does_not_give_the_output_is_refused(hinted, tmp_path):
    with pytest.raises(Mismatch, match=r"compares the student's middle, and tinyvit-5m gives logits, embedding"):
        learn(tmp_path / "run", steps=1, settings=("objectives.hint.output=middle",), **hinted)


def test_true_classes_are_left_where_there_is_no_teacher(hinted, tmp_path):
    from students.options import MachineOptions, TrainOptions
    from students.plan.plan import plan_run

    options = TrainOptions(recipe=hinted["recipe"], stream="none", size=32, batch=8, val="none")
    planned = plan_run(options, MachineOptions(device="cpu", workers=0, data="shapes:count=32,size=32"), 1)
    assert {name: its.plain()["hard"] for name, its in planned.record.recipe.losses.items()} == {"labels": 1.0}
    assert any("hint and shape of the recipe" in note.text and "have no effect" in note.text for note in planned.notes)


def test_classes_come_from_the_images_where_no_teacher_names_any(hinted, tmp_path):
    """A hint and true classes, from a cache without logits."""
    bare = build_cache(tmp_path / "bare", codecs={}, signals=("embedding", "features"), data="shapes:count=32,size=32")
    settings = ("objectives.labels.soft=0", "objectives.labels.hard=1")
    run, _ = learn(tmp_path / "run", bare, steps=1, recipe=hinted["recipe"], settings=settings)
    assert run.record.student.classes == run.record.dataset.classes
    assert list(trained(run)[0]["losses"]) == ["labels.hard", "hint.mse", "shape.cosine"]


def test_sums_of_other_losses_are_no_state_of_this_training(hinted, tmp_path):
    run, _ = learn(tmp_path / "run", steps=4, log_every=2, where={"stop_at": 3}, **hinted)
    file = run.path / "checkpoints/00000003/state.json"
    content = json.loads(file.read_text())
    content["state"]["pending"]["hint.cosine"] = content["state"]["pending"].pop("hint.mse")
    file.write_text(json.dumps(content))
    with pytest.raises(Damage, match="not a state of this training"):
        learn(run.path, resume=True)


def trained(run):
    return [line for line in run.metrics() if line["kind"] == "train"]


def beside(run, step=4):
    """The objectives' own weights."""
    return load_file(run.path / f"checkpoints/{step:08d}/objectives.safetensors")
