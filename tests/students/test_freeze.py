"""`kd finetune RUN --freeze`: the classifier alone is trained, as a run of its own; the base stays to the bit as it was."""

import pytest
import torch

from kdcache.base.progress import Silent
from kdcache.errors import UsageError
from students.judging.evaluate import JudgeOptions, judge_run
from students.runs.run import Run
from tests.students.conftest import build_cache, learn, weights_of

IMAGES = "shapes:count=48,size=32"


def frozen(out, run, **asked):
    """A few steps on true classes with everything but the classifier frozen."""
    where = {"data": IMAGES, **asked.pop("where", {})}
    return learn(out, start=str(run.path), stream="none", freeze=True, where=where, **asked)


@pytest.fixture(scope="module")
def base(cache, tmp_path_factory):
    return learn(tmp_path_factory.mktemp("runs") / "base", cache, steps=2)[0]


@pytest.mark.parametrize("new_head", [False, True])
def test_the_base_keeps_every_bit_and_the_head_learns(base, tmp_path, new_head):
    run, _ = frozen(tmp_path / "head", base, steps=3, new_head=new_head, settings=("average=0.9",))
    before, after = weights_of(base), weights_of(run)
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {"head.fc.weight", "head.fc.bias"}


def test_the_run_says_what_was_frozen(base, tmp_path):
    run, _ = frozen(tmp_path / "head", base, steps=1)
    assert Run.open(run.path).record.plain()["recipe"]["constraints"] == [{"kind": "frozen", "trained": "head.fc"}]
    assert Run.open(run.path).record.kind == "finetune"


def test_a_training_that_was_stopped_ends_the_same(base, tmp_path):
    whole, _ = frozen(tmp_path / "whole", base, steps=4)
    frozen(tmp_path / "halves", base, steps=4, where={"stop_at": 2})
    halves, outcome = learn(tmp_path / "halves", resume=True)
    assert outcome.ended == "done"
    assert all(torch.equal(value, weights_of(halves)[name]) for name, value in weights_of(whole).items())


def test_a_student_without_a_classifier_is_refused_with_a_way_out(base, tmp_path):
    with pytest.raises(UsageError, match="data2vec-nano has no classifier, which is what --freeze trains") as refusal:
        frozen(tmp_path / "none", base, student="data2vec-nano", steps=1)
    assert "--task probe" in refusal.value.hint
    assert not (tmp_path / "none").exists()


def test_a_head_that_was_never_trained_is_not_judged_and_the_command_that_trains_it_is_named(tmp_path):
    recipe = tmp_path / "hint.yaml"
    recipe.write_text(
        "epochs: 1\nbatch: 8\nobjective: {kind: hint, signal: embedding, output: embedding}\n"
        "optimiser: {rate: 1.0e-3, decay: 0.05}\n"
    )
    cache = build_cache(tmp_path / "cache", codecs={"embedding": "float32"}, signals=("embedding",), data=IMAGES)
    run, _ = learn(tmp_path / "run", cache, recipe=str(recipe), steps=1)
    how = JudgeOptions(data=IMAGES, device="cpu")
    with pytest.raises(UsageError, match="was never trained") as refusal:
        judge_run(run, how, Silent(), task="classify")
    assert refusal.value.hint == f"kd finetune {run.path} --data SOURCE --new-head --freeze"
    head, _ = frozen(tmp_path / "head", run, steps=1, new_head=True, recipe="demo")
    report, _ = judge_run(head, how, Silent(), task="classify")
    assert report.images == 48
