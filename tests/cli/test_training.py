"""`kd train` and `kd finetune` the way a person would type them: what cannot be honoured is refused, with a way out."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import QUICK
from tests.students.trained import make_run, small_spec


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--stream", "none", "--cache", "c"], "--cache cannot be used with --stream none"),
        (["--stream", "none", "--views", "0"], "--views cannot be used with --stream none"),
        (["--head", "head.safetensors"], "--head cannot be used with --stream off"),
        (["--views=-1"], "--views -1 is not a list of view numbers from 0"),
        (["--views", "0,0"], "--views 0,0 names a view twice"),
        (["--epochs", "nan"], "--epochs nan"),
        (["--epochs", "inf"], "--epochs inf"),
        (["--epochs", "0"], "--epochs 0"),
        (["--stream", "foo"], "'--stream': 'foo' is not one of 'off', 'on', 'none'"),
        ([], "--cache DIR"),
    ],
)
def test_what_makes_no_sense_is_refused(kd, words, message):
    ran = kd("train", *words)
    assert ran.code == 2
    assert message in ran.err


def test_without_data_true_classes_are_those_of_the_embedded_shapes(kd):
    ran = kd("train", "--stream", "none", *QUICK, "--size", 32)
    assert ran.code == 0
    assert "no --data: using the embedded shapes" in ran.err


def test_latest_is_told_by_name(kd, run):
    assert "LATEST is kd/runs/photos-run" in kd("student", "show", "LATEST").err
    assert "LATEST is kd/runs/photos-run" in kd("train", "--resume", "LATEST", "--size", 96).err


def test_a_mistyped_run_is_told_with_those_near(kd, run):
    ran = kd("eval", "photo-run")
    assert ran.code == 2
    assert "hint: name the folder of a run, such as kd/runs/photos-run" in ran.err


def test_other_classes_are_refused_with_the_options_that_help(kd, run, photos):
    ran = kd("finetune", run, "--data", photos, *QUICK)
    assert ran.code == 6
    assert "the images have 2 classes, the run 4" in ran.err
    assert "--new-head" in ran.err
    assert "--head-rows FILE" in ran.err


def test_as_many_other_classes_are_other_classes(kd, photos, tmp_path):
    run = make_run(tmp_path / "animals", small_spec(classes=("dogs", "cats"))).path
    ran = kd("finetune", run, "--data", photos, *QUICK)
    assert ran.code == 6
    assert "the first that differs: 'cats' and 'dogs'" in ran.err


def test_fine_tuning_goes_on_at_the_size_of_the_run(kd, run, photos):
    ran = kd("finetune", run, "--data", photos, "--new-head", *QUICK, "--out", "next")
    assert ran.code == 0
    assert f"no --size: 64 pixels, as in {run}" in ran.err
    assert json.loads((run.parents[2] / "next" / "run.json").read_text())["student"]["input"] == [64, 64]


def test_a_classifier_is_trained_on_a_frozen_base(kd, run, photos, tmp_path):
    ran = kd("finetune", run, "--data", photos, "--new-head", "--freeze", *QUICK, "--out", tmp_path / "head")
    assert ran.code == 0, ran.err
    recipe = json.loads((tmp_path / "head" / "run.json").read_text())["recipe"]
    assert recipe["constraints"] == [{"kind": "frozen", "trained": "head.fc"}]


def test_rejected_images_are_counted_once_and_in_the_report(kd, photos, tmp_path):
    import shutil

    broken = shutil.copytree(photos, tmp_path / "broken")
    (broken / "cats" / "bad.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    words = "cache build --teacher timm:test_vit --weights random --signal logits --batch 4 --workers 0 --device cpu"
    assert kd(*words.split(), "--data", broken, "--out", "c").code == 3
    ran = kd("train", "--cache", "c", *QUICK, "--size", 32, "--out", "r")
    assert ran.code == 0
    assert "10 of 11 images; 1 was rejected" in ran.err
    assert kd("report", "r", "--samples", 1).code == 0
    assert "10 of 11 images" in (tmp_path / "r" / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--set", "objective.soft=0"],
            "objective: soft and hard are both 0: nothing would be learnt (--set objective.soft)",
        ),
        (["--set", "batc=3"], "hint: kd config show recipes/demo prints every key"),
    ],
)
def test_a_recipe_that_contradicts_itself_is_blamed_on_what_was_set(kd, cache, words, message):
    ran = kd("train", "--cache", cache, *words)
    assert ran.code == 2
    assert message in ran.err


def test_help_tells_that_out_is_the_run(kd):
    printed = " ".join(kd("train", "--help").out.split())
    assert "Folder of the run. Default: a new name in ./kd/runs." in printed


@pytest.mark.parametrize(
    ("words", "message", "way"),
    [
        (["--device", "gpu"], "unsupported device: gpu", "--device cpu, cuda or cuda:N"),
        (["--device", "meta"], "unsupported device: meta", "--device cpu, cuda or cuda:N"),
        (["--micro", 7], "a batch of 8 in pieces of 7 leaves a piece of one image, and at 32 pixels", "--micro 6, or"),
        (
            ["--micro", 1],
            "a batch of 8 in pieces of 1 leaves a piece of one image",
            "--micro 8, or a larger input with --size 64",
        ),
        (["--batch", 1], "a batch of 1 in pieces of 1 leaves a piece of one image", "--batch 2 or more"),
        (["--views", "0,3", "--stream", "on"], "view 3 is requested, but", "kd cache add-views"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_a_run_is_made(kd, cache, tmp_path, words, message, way):
    ran = kd("train", "--cache", cache, *QUICK, "--size", 32, "--out", "r", *words)
    assert ran.code in (2, 6)
    assert message in ran.err
    assert way in ran.err.partition("hint:")[2]
    assert not (tmp_path / "r").exists()


def test_one_image_alone_is_no_matter_where_norms_rest_or_maps_are_larger(kd, cache):
    ways = (["--size", 32, "--set", "frozen_norms=true"], ["--size", 64])
    for number, words in enumerate(ways):
        assert (
            kd("train", "--cache", cache, *QUICK, "--batch", 2, "--micro", 1, "--out", f"r{number}", *words).code == 0
        )


def test_a_damaged_line_of_metrics_is_told_with_the_command_that_removes_it(kd, cache, tmp_path):
    import subprocess

    assert kd("train", "--cache", cache, *QUICK, "--size", 32, "--out", "r").code == 0
    file = tmp_path / "r" / "metrics.jsonl"
    file.write_text(file.read_text().replace('"loss"', '"lo"ss"'))
    for words in (["report", "r"], ["train", "--resume", "r", "--workers", 0, "--device", "cpu"]):
        ran = kd(*words)
        assert ran.code == 4
        assert "line 1 of r/metrics.jsonl is damaged" in ran.err
    subprocess.run(ran.err.partition("remove that line: ")[2].strip(), shell=True, check=True, cwd=tmp_path)
    assert kd("report", "r").code == 0


def test_a_recipe_that_was_printed_trains(kd, cache, tmp_path):
    (tmp_path / "my.yaml").write_text(kd("config", "show", "recipes/demo").out)
    ran = kd("train", "--cache", cache, "--recipe", "my.yaml", *QUICK, "--out", "elsewhere/run")
    assert ran.code == 0, ran.err
    assert kd("student", "show", "LATEST").code == 0, "LATEST is a run that was made with --out, too"


def test_latest_is_the_run_that_was_started_last_wherever_it_lies(kd, tmp_path):
    from students.runs.newest import RUNS, newest_run, remember_run

    times = {}
    for number, path in enumerate(("kd/runs/inside", "elsewhere/ü", "kd/runs/later", "gone")):
        make_run(tmp_path / path)
        remember_run(Path(path))
        times[path] = (tmp_path / path / "run.json").stat().st_mtime_ns
        os.utime(tmp_path / path / "run.json", ns=(number * 10**9, number * 10**9))
    assert newest_run() == tmp_path / "gone"
    shutil.rmtree(tmp_path / "gone")
    assert newest_run() == RUNS / "later"
    shutil.rmtree(tmp_path / "kd/runs/later")
    assert newest_run() == tmp_path / "elsewhere" / "ü"
    assert (RUNS / "elsewhere.txt").read_text().count("\n") == 2, "those in their usual place need no note"


def test_steps_and_epochs_at_once_and_small_images_are_warned_of(kd, cache):
    ran = kd("train", "--cache", cache, *QUICK, "--epochs", 3, "--size", 96, "--out", "run")
    assert ran.code == 0, ran.err
    assert "warning: --epochs 3 has no effect beside --steps 1: give one of the two" in ran.err
    assert "warning: the images are about 32 pixels a side, but the input of the student has 96" in ran.err


def test_images_that_cannot_be_read_are_told_and_the_code_says_so(kd, photos, tmp_path):
    shutil.copytree(photos, tmp_path / "own")
    (tmp_path / "own" / "cats" / "broken.jpg").write_bytes(b"no image")
    words = ["train", "--stream", "none", "--data", "own", "--size", 32, *QUICK, "--set", "precision=float32"]
    ran = kd(*words, "--steps", 2, "--out", "run", "--json")
    assert ran.code == 3, ran.err
    assert "warning: 1 image could not be read and had no weight in training, such as cats/broken.jpg: " in ran.err
    assert ran.json["unreadable"] == 1


def test_a_folder_of_splits_is_told_to_be_one_before_anything_is_learnt(kd, photos, tmp_path):
    shutil.copytree(photos, tmp_path / "own" / "train")
    split = tmp_path / "own" / "train"
    for words in (
        ["train", "--stream", "none"],
        ["teacher", "fit-head", "--teacher", "florence", "--size", "nano", "-o", "h"],
    ):
        ran = kd(*words, "--data", "own")
        assert ran.code == 2
        assert f"hint: it holds splits, which are no classes: give --data {split}" in ran.err


def test_the_note_of_runs_elsewhere_is_only_read_when_it_is_a_file(kd, tmp_path):
    (tmp_path / "kd/runs").mkdir(parents=True)
    os.mkfifo(tmp_path / "kd/runs/elsewhere.txt")
    ran = kd("student", "show", "LATEST")
    assert ran.code == 2
    assert "hint: remove it" in ran.err
    (tmp_path / "kd/runs/elsewhere.txt").unlink()
    (tmp_path / "kd/runs/elsewhere.txt").write_text("x" * 5000 + "\n")
    assert "no run in ./kd/runs" in kd("student", "show", "LATEST").err


@pytest.mark.slow
def test_a_comparison_counts_the_images_that_cannot_be_read(kd, photos, tmp_path):
    broken = shutil.copytree(photos, tmp_path / "broken")
    (broken / "cats" / "bad.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    words = "compare on-stream off-stream --teacher timm:test_vit --weights random --steps 2 --repeat 1 --train-batch 4"
    ran = kd(
        *words.split(),
        "--workers",
        0,
        "--student-size",
        32,
        "--val",
        "none",
        "--device",
        "cpu",
        "--data",
        broken,
        "--out",
        "out",
    )
    assert ran.code == 0, ran.err
    assert "10 of 11 images; 1 was rejected" in ran.err
