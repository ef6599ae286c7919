"""A student can be judged on several sets during training, each against its own bank, as data2vec-thesis needs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from kdcache.errors import Drift, Mismatch, Unavailable, UsageError
from students.judging.measures import measure_of
from tests.images.samples import python2_pickle, write
from tests.students.conftest import learn, losses_of
from tests.students.test_dense import dense_cache

SETS = ("judge.sets=[{name: cifar10, bank: train-split}, {name: cifar100, bank: train-split}]", "judge.every=2")
ROWS = 12


def pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (ROWS, 3072), dtype=np.uint8)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Twelve images a batch file of each, as their publisher keeps them."""
    root = tmp_path_factory.mktemp("sets")
    ten, hundred = root / "ten" / "cifar-10-batches-py", root / "hundred" / "cifar-100-binary"
    for number, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        labels = [row % 10 for row in range(ROWS)]
        write(ten / name, python2_pickle({"data": pixels(number), "labels": labels, "batch_label": name}))
    write(ten / "batches.meta", python2_pickle({"label_names": [f"class{n}" for n in range(10)], "num_vis": 3072}))
    for name, seed in (("train.bin", 10), ("test.bin", 11)):
        fronts = np.array([[row % 20, row % 4] for row in range(ROWS)], np.uint8)
        write(hundred / name, np.concatenate([fronts, pixels(seed)], axis=1).tobytes())
    write(hundred / "fine_label_names.txt", "\n".join(f"fine{n}" for n in range(100)).encode() + b"\n")
    return root


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    return dense_cache(tmp_path_factory.mktemp("dense") / "c", signals=("inputs", "targets"))


def places(root: Path) -> tuple[str, ...]:
    return f"cifar10:{root}/ten/cifar-10-batches-py", f"cifar100={'cifar100:'}{root}/hundred/cifar-100-binary"


def teach(out, cache, root, *, settings=SETS, **asked):
    asked = {"steps": 4, "val": places(root), "settings": settings, **asked}
    return learn(out, cache, student="data2vec-nano", size=None, **asked)


def validations(run):
    return [line for line in run.metrics() if line["kind"] == "val"]


def test_every_set_is_judged_against_its_own_training_split_both_ways(dense, sets, tmp_path):
    run, outcome = teach(tmp_path / "run", dense, sets)
    lines = validations(run)
    assert [(line["step"], line["set"]) for line in lines] == [
        (2, "cifar10"), (2, "cifar100"), (4, "cifar10"), (4, "cifar100"),
    ]  # fmt: skip
    for line in lines:
        ways = ("top1", "top3", "inverse_top1", "inverse_top3")
        assert line["score"] == pytest.approx(sum(line[way] for way in ways) / 4)
        assert line["images"] == ROWS
    assert outcome.score == pytest.approx(sum(line["score"] for line in lines[2:]) / 2), "the mean of both decides"
    record = json.loads((run.path / "run.json").read_text())
    assert record["val"] is None
    assert [(each["name"], each["data"]["rows"], each["bank"]["rows"]) for each in record["sets"]] == [
        ("cifar10", ROWS, 5 * ROWS), ("cifar100", ROWS, ROWS),
    ]  # fmt: skip
    assert [each["data"]["name"] for each in record["sets"]] == ["cifar10-test", "cifar100-test"]
    assert measure_of(run.record).name == "retrieval"


@pytest.mark.slow
def test_it_goes_on_as_if_never_stopped_though_the_sets_have_moved(dense, sets, tmp_path):
    here = shutil.copytree(sets, tmp_path / "here")
    whole, _ = teach(tmp_path / "whole", dense, here)
    teach(tmp_path / "parts", dense, here, where={"stop_at": 3})
    here.rename(tmp_path / "there")
    moved = places(tmp_path / "there")
    parts, _ = learn(tmp_path / "parts", resume=True, where={"val": moved})
    assert losses_of(parts) == losses_of(whole)
    lines = [[{k: v for k, v in line.items() if k != "seconds"} for line in validations(run)] for run in (parts, whole)]
    assert lines[0] == lines[1]


def test_a_bank_that_was_named_as_a_source_can_move_too(dense, sets, tmp_path):
    here, there, part = tmp_path / "here", tmp_path / "there", "ten/cifar-10-batches-py"
    shutil.copytree(sets, here)
    bank = f"{{name: cifar10, bank: 'cifar10:{here}/{part}:train'}}"
    asked = {"val": f"cifar10:{here}/{part}:test", "settings": (f"judge.sets=[{bank}]", "judge.every=2")}
    whole, _ = teach(tmp_path / "whole", dense, here, **asked)
    teach(tmp_path / "run", dense, here, where={"stop_at": 3}, **asked)
    here.rename(there)
    moved = (f"cifar10:{there}/{part}:test",)
    with pytest.raises(Unavailable) as caught:
        learn(tmp_path / "run", resume=True, where={"val": moved})
    assert caught.value.hint == "pass the images' new location: --val cifar10.bank=DIR"
    with pytest.raises(Mismatch, match="other images"):
        learn(tmp_path / "run", resume=True, where={"val": (*moved, f"cifar10.bank=cifar10:{there}/{part}:test")})
    run, _ = learn(tmp_path / "run", resume=True, where={"val": (*moved, f"cifar10.bank=cifar10:{there}/{part}:train")})
    assert [line["score"] for line in validations(run)] == [line["score"] for line in validations(whole)]


def test_places_of_banks_are_told_from_those_of_images():
    from kdcache.store.plan import Dataset
    from students.judging.while_training import Places, places_of
    from students.runs.validation import ValidationSet

    data = Dataset(name="it", source={"kind": "shapes"}, fingerprint="f", rows=1, index_digest="d", classes=None)
    alone = ValidationSet(data=data, task="knn", bank_from="a", bank=data)
    assert places_of(("bank=b", "images"), [alone]) == {None: Places("images", "b")}
    named = [alone.model_copy(update={"name": name}) for name in ("one", "bank")]
    assert places_of(("bank=b", "one=x", "one.bank=y"), named) == {"bank": Places("b"), "one": Places("x", "y")}
    with pytest.raises(UsageError, match=r"names the validation images twice"):
        places_of(("bank=b", "bank=c"), [alone])
    with pytest.raises(UsageError, match="compared with the training images"):
        places_of(("bank=b",), [alone.model_copy(update={"bank": None, "bank_from": 9})])
    with pytest.raises(UsageError, match="the training split beside"):
        places_of(("bank=b",), [alone.model_copy(update={"bank_from": "train-split"})])


def test_images_that_changed_since_are_drift(dense, sets, tmp_path):
    here = shutil.copytree(sets, tmp_path / "here")
    teach(tmp_path / "run", dense, here, where={"stop_at": 3})
    file = here / "hundred" / "cifar-100-binary" / "train.bin"
    file.write_bytes(file.read_bytes()[: 3074 * 8])
    with pytest.raises(Drift, match="cifar100-train have changed"):
        learn(tmp_path / "run", resume=True)


def test_one_set_may_decide_and_each_may_have_a_task_of_its_own(dense, sets, tmp_path):
    own = "judge.sets=[{name: cifar10, bank: train-split, task: knn}, {name: cifar100, bank: train-split}]"
    with pytest.raises(UsageError, match=r"no mean \(cifar10: top-1, cifar100: retrieval\)"):
        teach(tmp_path / "no", dense, sets, settings=(own, "judge.every=2"))
    run, outcome = teach(tmp_path / "run", dense, sets, settings=(own, "judge.every=2", "judge.best=cifar10"))
    last = {line["set"]: line for line in validations(run) if line["step"] == 4}
    assert outcome.score == last["cifar10"]["score"] == last["cifar10"]["top1"]
    assert outcome.measure.name == "top-1"


def test_a_set_without_a_place_is_left_out_and_a_note_names_it(dense, sets, tmp_path):
    from students.options import MachineOptions, TrainOptions
    from students.plan.plan import plan_run
    from students.plan.validation import UNJUDGED

    def planned(*val, settings=SETS):
        options = TrainOptions(student="data2vec-nano", cache=dense, steps=2, batch=8, val=val, settings=settings)
        return plan_run(options, MachineOptions(device="cpu", workers=0), 1)

    found = planned(places(sets)[0])
    assert [each.name for each in found.record.sets] == ["cifar10"]
    notes = [note.text for note in found.notes if note.kind == UNJUDGED]
    assert notes == [
        "the student is not judged on cifar100 during training: give its location with --val cifar100=SOURCE"
    ]
    assert planned("none").record.validation == ()
    with pytest.raises(UsageError, match="names none of the run's sets: cifar10, cifar100"):
        planned("shapes:split=val")
    with pytest.raises(UsageError, match="--val names cifar10 twice"):
        planned(places(sets)[0], places(sets)[0])
    with pytest.raises(UsageError, match="--val none cannot be combined with --val"):
        planned("none", places(sets)[0])
    few = planned(
        "a=shapes:split=val,count=20,size=64", "b=shapes:split=val,count=30,size=64", settings=("judge.bank=20",)
    )
    assert [(each.name, each.data.rows, each.bank) for each in few.record.sets] == [("a", 20, None), ("b", 30, None)]
    with pytest.raises(UsageError, match="two validation sets would be named shapes"):
        planned("shapes:split=val,count=9", "shapes:split=val,count=8", settings=())


def test_a_recipe_names_its_sets_and_old_ones_are_written_as_ever():
    from kdcache.config.presets import load_preset
    from students.recipe import Recipe

    thesis = load_preset("recipes", "data2vec-thesis", Recipe).judge
    assert [(each.name, each.bank, each.task or thesis.task) for each in thesis.sets] == [
        ("cifar10", "train-split", "retrieve"), ("cifar100", "train-split", "retrieve"),
    ]  # fmt: skip
    assert thesis.every == 5000
    nano = load_preset("recipes", "data2vec-nano", Recipe).judge
    assert nano.plain() == {"task": "retrieve", "every": 500, "bank": 2000}
    for wrong in ({"sets": [{"name": "mean"}]}, {"sets": [{"name": "a"}, {"name": "a"}]}, {"sets": [{"name": "a/b"}]},
                  {"sets": [{"name": "a"}], "best": "b"}):  # fmt: skip
        with pytest.raises(ValueError, match=r"sets|best|name"):
            type(nano).from_plain(wrong)


def test_its_page_and_kd_eval_go_by_the_same_sets(dense, sets, tmp_path):
    from kdcache.base.progress import Silent
    from students.judging.evaluate import JudgeOptions, judge
    from students.judging.registry import chosen
    from students.report import write_report

    run, _ = teach(tmp_path / "run", dense, sets)
    found = judge(run, chosen(["retrieve"], {}), JudgeOptions(device="cpu"), Silent())
    last = [line for line in validations(run) if line["step"] == 4]
    best = {line["step"]: line["best"] for line in validations(run)}
    assert [each.report.about.data for each in found] == ["cifar10-test", "cifar100-test"]
    assert [each.report.about.bank_images for each in found] == [5 * ROWS, ROWS]
    if best[4]:
        assert [each.task.score(each.report) for each in found] == [line["score"] for line in last]
    words = write_report(run, tmp_path / "report.html").read_text("utf-8")
    assert "Validation: cifar10" in words
    assert "validation cifar100" in words
    assert "best retrieval, step" in words
