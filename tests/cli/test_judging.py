"""`kd eval` and `kd report` the way a person would type them."""

import json

import pytest
import torch
from safetensors.torch import save_file

from tests.students import trained
from tests.students.test_report import make_run


@pytest.fixture
def run(photos, tmp_path):
    """A student that was not taught anything, with the ten photos as its validation images."""
    return make_run(tmp_path / "kd" / "runs" / "one", photos=photos, classes=("cats", "dogs")).path


def test_a_run_is_judged_on_its_own_validation_images(kd, run):
    ran = kd("eval", "LATEST", "--workers", 0, "--json")
    assert ran.code == 0
    answer = ran.json
    assert (answer["task"], answer["images"], answer["matched"], answer["rejected"]) == ("classify", 10, "by name", {})
    assert answer["top5"] == 1.0
    kept = json.loads((run / "evals" / f"classify-{answer['data']}.json").read_text())
    assert kept["report"] == {k: v for k, v in answer.items() if k not in ("run", "kept")}


def test_people_get_a_small_table(kd, run):
    out = kd("eval", run, "--workers", 0, "--device", "cpu").out
    assert "95 % interval" in out
    assert "calibration error" in out
    assert "predicted class" in out


def test_unreadable_images_make_it_incomplete_and_are_named(kd, run, photos, tmp_path):
    import shutil

    broken = shutil.copytree(photos, tmp_path / "broken")
    (broken / "cats" / "bad.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    ran = kd("eval", run, "--data", broken, "--workers", 0, "--json")
    assert ran.code == 3
    assert list(ran.json["rejected"]) == ["cats/bad.jpg"]
    assert ran.json["images"] == 10
    assert "cats/bad.jpg cannot be used" in ran.err


def test_images_of_other_classes_are_refused(kd, run):
    ran = kd("eval", run, "--data", "shapes:split=val,count=4", "--workers", 0)
    assert ran.code == 6
    assert "not among the classifier's 2: 'red circle'" in ran.err
    assert "'cats', 'dogs'" in ran.err


def test_a_teacher_of_other_classes_can_be_given_a_head(kd, photos):
    ran = kd("eval", "--teacher", "florence", "--size", "nano", "--data", photos, "--workers", 0, "--device", "cpu")
    assert ran.code == 6
    assert "student" not in ran.err
    assert "--head FILE (kd teacher fit-head makes one)" in ran.err.split("hint: ")[1]


def test_a_task_that_has_no_preset_tells_its_own_keys(kd, run):
    ran = kd("eval", run, "--set", "foo=1")
    assert ran.err.startswith("error: 1 mistake in the task classify")
    assert ran.err.endswith("hint: it has real\n")


def test_few_shot_asks_about_any_classes(kd, run):
    words = ["--task", "few-shot", "--data", "shapes:split=val,count=300", "--shots", "1,2", "--workers", 0]
    small = ["--set", "episodes=4", "--set", "epochs=2", "--set", "queries=1"]
    ran = kd("eval", run, *words, *small, "--json")
    assert ran.code == 0
    assert [(m["shots"], m["classes"]) for m in ran.json["marks"]] == [(1, 100), (2, 100)]
    again = kd("eval", run, *words, *small, "--json").json
    assert again["marks"] == ran.json["marks"]
    assert kd("eval", run, *words, *small, "--seed", 1, "--json").json["marks"] != ran.json["marks"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--shots", "5"], "--shots is a setting of few-shot, not of classify"),
        (["--set", "way=3"], "--set way is a setting of few-shot, not of classify"),
        (["--set", "ways=3"], "ways: unknown key"),
        (["--seed", "3"], "--seed is a setting of few-shot and probe, not of classify"),
        (["--bank", "shapes"], "--bank is a setting of knn, probe and retrieve, not of classify"),
        (["--task", "few-shot", "--real", "real.json"], "--real is a setting of classify, not of few-shot"),
        (["--task", "few-shots"], "unknown task 'few-shots'"),
        (["--task", "knn,knn"], "give one or more tasks, each once"),
        (["--out", "x.json"], "--out only applies to --teacher"),
        (["--task", "few-shot", "--shots", "5,x"], "--shots 5,x is not a list"),
        (["--task", "few-shot", "--shots", "5,5"], "--shots 5,5 is not a list"),
        (["--task", "few-shot"], "few-shot needs 5 classes with 20 images each for 5 shots"),
        (["--task", "few-shot", "--set", "wa=3"], "unknown key"),
        (["--real", "none.json"], "cannot read none.json"),
    ],
)
def test_what_makes_no_sense_is_refused(kd, run, words, message):
    ran = kd("eval", run, *words)
    assert ran.code == 2
    assert message in ran.err


def test_without_validation_images_some_must_be_named(kd, run):
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"val": None}))
    ran = kd("eval", run)
    assert ran.code == 2
    assert "was trained without validation images" in ran.err
    assert "--data" in ran.err


def test_validation_images_that_changed_are_refused(kd, run):
    record = json.loads((run / "run.json").read_text())
    record["val"]["fingerprint"] = "0" * 32
    (run / "run.json").write_text(json.dumps(record))
    ran = kd("eval", run)
    assert ran.code == 9
    assert "have changed" in ran.err


def test_broken_weights_are_damage(kd, run):
    from safetensors.torch import load_file

    weights = load_file(run / "best.safetensors")
    weights["head.fc.bias"] = torch.full_like(weights["head.fc.bias"], float("nan"))
    save_file(weights, run / "best.safetensors")
    ran = kd("eval", run, "--workers", 0)
    assert ran.code == 4
    assert "NaN" in ran.err


def test_a_report_lies_beside_the_run_or_where_it_is_wanted(kd, run, tmp_path):
    ran = kd("report", "LATEST", "--samples", 2, "--json")
    assert ran.code == 0
    assert ran.json["page"].endswith("kd/runs/one/report.html")
    assert kd("report", run, "--out", "pages/one.html").code == 0
    assert (tmp_path / "pages" / "one.html").read_text("utf-8").startswith("<!doctype html>")


def test_a_report_of_no_run_is_refused(kd):
    ran = kd("report", "LATEST")
    assert ran.code == 2
    assert "no run in ./kd/runs" in ran.err


@pytest.mark.parametrize("harm", ["flipped", "truncated"])
def test_damaged_weights_are_told_and_never_judged(kd, run, photos, tmp_path, harm):
    from students.runs.checkpoint import load_tensors, save_tensors

    file = run / "best.safetensors"
    save_tensors(file, load_tensors(file))
    whole = bytearray(file.read_bytes())
    whole[-1000] ^= 0x01
    file.write_bytes(whole if harm == "flipped" else whole[:-1000])
    words = (["eval", run, "--workers", 0], ["student", "export", run, "--format", "timm", "--out", "e"])
    for asked in (*words, ["report", run], ["finetune", run, "--data", photos, "--batch", 4]):
        ran = kd(*asked)
        assert ran.code == 4, ran.err
        assert "best.safetensors is damaged" in ran.err
    assert not (tmp_path / "e").exists()


def test_a_device_that_is_not_there_is_told(kd, run):
    ran = kd("eval", run, "--device", "gpu")
    assert ran.code == 2
    assert "unsupported device: gpu" in ran.err


def test_an_evaluation_of_other_images_of_the_same_name_is_kept_beside_the_first(kd, photos, tmp_path):
    import shutil

    run = trained.make_run(tmp_path / "animals", trained.small_spec(classes=("cats", "dogs"))).path
    other = shutil.copytree(photos, tmp_path / photos.name)
    (other / "cats" / "1.jpg").unlink()
    words = ["eval", run, "--workers", 0, "--device", "cpu", "--json", "--data"]
    first = kd(*words, photos).json["kept"]
    assert kd(*words, photos).json["kept"] == first
    second = kd(*words, other).json["kept"]
    assert second != first
    assert len(list((run / "evals").glob("*.json"))) == 2


def test_a_folder_of_splits_is_no_folder_of_classes(kd, photos, tmp_path):
    import shutil

    run = trained.make_run(tmp_path / "animals", trained.small_spec(classes=("cats", "dogs"))).path
    for split in ("train", "val"):
        shutil.copytree(photos, tmp_path / "photos" / split)
    ran = kd("eval", run, "--data", "photos")
    assert ran.code == 2
    assert f"hint: --data {tmp_path / 'photos' / 'val'}" in ran.err


def test_validation_images_that_moved_are_told_with_data(kd, photos, tmp_path):
    import shutil

    from kdcache.images import open_source
    from kdcache.store.plan import Dataset

    moved = shutil.copytree(photos, tmp_path / "was-here")
    run = trained.make_run(tmp_path / "animals", trained.small_spec(classes=("cats", "dogs")))
    source = open_source(str(moved))
    val = Dataset.of(source, source.scan())
    (run.path / "run.json").write_text(json.dumps(run.record.model_copy(update={"val": val}).plain()))
    shutil.rmtree(moved)
    ran = kd("eval", run.path)
    assert ran.code != 0
    assert "--data DIR" in ran.err
    ran = kd("report", run.path)
    assert ran.code == 0
    assert "warning: Validation images cannot be shown" in ran.err


def test_several_tasks_are_judged_in_one_command(kd, run, photos):
    words = ["--task", "classify,knn", "--bank", "few:6:" + str(photos), "--workers", 0]
    ran = kd("eval", run, "--data", photos, *words)
    assert ran.code == 2
    assert "are in photos" in ran.err, "the bank is a part of the images"
    assert not (run / "evals").exists(), "nothing is judged before all of it can be"
    bank, asked = "shapes:split=train,count=120", "shapes:split=val,count=30"
    few = ["--task", "few-shot", "--set", "way=2", "--shots", "1", "--set", "queries=1", "--set", "episodes=2"]
    some = kd("eval", run, "--data", asked, "--bank", bank, "--task", "knn,retrieve", "--workers", 0, "--json")
    assert some.code == 0
    assert [each["task"] for each in some.json["evaluations"]] == ["knn", "retrieve"]
    assert {each["about"]["bank_images"] for each in some.json["evaluations"]} == {120}
    assert len(list((run / "evals").glob("*.json"))) == 2
    text = kd("eval", run, "--data", asked, "--bank", bank, "--task", "knn,retrieve", "--workers", 0).out
    assert text.index("knn: shapes-val") < text.index("retrieve: shapes-val")
    both = kd("eval", run, "--data", photos, *few, "--task", "few-shot,classify", "--workers", 0, "--json").json
    assert both["evaluations"][0]["settings"]["shots"] == [1], "each setting is taken by the task that has it"


def test_a_student_without_classes_names_the_tasks_that_judge_it():
    from kdcache.errors import UsageError
    from students.judging.judged import check_head
    from students.judging.registry import TASKS

    with pytest.raises(UsageError, match="dense has no head logits, which the task classify needs") as refused:
        check_head("dense", ("embedding",), TASKS.get("classify"), ["knn", "retrieve"])
    assert refused.value.hint == "--task knn or retrieve"


def test_a_teacher_is_judged_as_a_student_is(kd, tmp_path):
    words = ["--data", "shapes:split=val,count=100", "--workers", 0, "--device", "cpu"]
    ran = kd("eval", "--teacher", "florence", "--size", "nano", *words, "--out", "judged.json", "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["teacher"], ran.json["task"], ran.json["images"]) == ("florence nano", "classify", 100)
    assert ran.json["top1"] > 0.6, "it was trained on such images"
    kept = json.loads((tmp_path / "judged.json").read_text())
    assert kept["evaluations"][0]["top1"] == ran.json["top1"]
    assert kd("eval", "--teacher", "florence", "--size", "nano").code == 2
    assert "no --data" in kd("eval", "--teacher", "florence", "--size", "nano").err
    assert "give either a run or --teacher" in kd("eval").err


class TestPredictions:
    """`kd predict` writes a line an image."""

    def test_classes_and_their_probabilities_come_as_csv(self, kd, run, photos, tmp_path):
        import csv

        ran = kd("predict", run, photos, "--top", 2, "--workers", 0, "--json")
        assert ran.code == 0, ran.err
        assert (ran.json["images"], ran.json["head"], ran.json["out"]) == (10, "logits", "predictions.csv")
        with (tmp_path / "predictions.csv").open(newline="") as file:
            lines = list(csv.DictReader(file))
        assert list(lines[0]) == ["image", "class1", "probability1", "class2", "probability2"]
        assert len({line["image"] for line in lines}) == 10
        for line in lines:
            assert {line["class1"], line["class2"]} == {"cats", "dogs"}
            assert float(line["probability1"]) + float(line["probability2"]) == pytest.approx(1)
        again = kd("predict", run, photos)
        assert again.code == 2
        assert "predictions.csv is there already" in again.err

    def test_they_are_those_that_kd_eval_goes_by(self, kd, run, photos, tmp_path):
        same = ("--workers", 0, "--device", "cpu")
        assert kd("predict", run, photos, *same, "--out", "all.jsonl", "--top", 9).code == 0
        lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
        right = sum(line["image"].startswith(line["classes"][0]["class"]) for line in lines)
        assert right / len(lines) == kd("eval", run, "--data", photos, *same, "--json").json["top1"]

    def test_unreadable_images_are_named_and_have_no_line(self, kd, run, photos, tmp_path):
        import shutil

        broken = shutil.copytree(photos, tmp_path / "broken")
        (broken / "cats" / "bad.jpg").write_bytes(b"\xff\xd8\xff nothing more")
        ran = kd("predict", run, broken, "--workers", 0, "--out", "some.jsonl", "--json")
        assert ran.code == 3
        assert list(ran.json["rejected"]) == ["cats/bad.jpg"]
        assert "cats/bad.jpg cannot be used" in ran.err
        assert "bad.jpg" not in (tmp_path / "some.jsonl").read_text()

    def test_a_teacher_predicts_too_and_embeddings_may_be_asked_for(self, kd, tmp_path):
        words = (
            "--teacher",
            "florence",
            "--size",
            "nano",
            "shapes:split=val,count=6",
            "--workers",
            0,
            "--device",
            "cpu",
        )
        assert kd("predict", *words, "--out", "a.jsonl", "--top", 1).code == 0
        (first, *_) = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
        assert len(first["classes"]) == 1
        assert kd("predict", *words, "--out", "b.csv", "--embedding").code == 0
        assert (tmp_path / "b.csv").read_text().startswith("image,e0,e1,")
        assert len((tmp_path / "b.csv").read_text().splitlines()) == 7

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--out", "x.txt"], "neither a .csv nor a .jsonl"),
            (["--size", "nano"], "--size only applies to --teacher"),
            (["--teacher", "florence"], "give either a run or --teacher, not both: the run is "),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, kd, run, photos, words, message):
        ran = kd("predict", run, photos, *words)
        assert ran.code == 2
        assert message in ran.err
