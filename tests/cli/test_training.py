"""`kd train` and `kd finetune` the way a person would type them: what cannot be honoured is refused, with a way out."""

import json
import signal

import pytest

from tests.students.conftest import build_cache
from tests.students.trained import make_run, small_spec

QUICK = ["--steps", 1, "--batch", 8, "--val", "none", "--workers", 0, "--device", "cpu"]


@pytest.fixture
def run(tmp_path):
    """A run at 64 pixels that was begun with 1 step of 8 images."""
    return make_run(tmp_path / "kd" / "runs" / "photos-run").path


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return build_cache(tmp_path_factory.mktemp("caches") / "c")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--size", 96], "--size has no effect with --resume: the run was begun at 64"),
        (["--seed", 0], "--seed has no effect with --resume: the run was begun at 0"),
        (["--stream", "none", "--batch", 4], "--batch has no effect with --resume: the run was begun at 8"),
        (["--out", "other"], "--out has no effect with --resume: the run goes on in"),
        (["--set", "patience=3"], "--set has no effect with --resume"),
        (["--head", "head.safetensors"], "the run was begun at --stream none"),
    ],
)
def test_an_option_that_a_resumed_run_cannot_honour_is_refused(kd, run, words, said):
    ran = kd("train", "--resume", run, *words)
    assert ran.code == 2
    assert said in ran.err


def test_every_option_of_a_new_training_is_honoured_or_refused_beside_resume():
    from inspect import signature

    from cli import train_options
    from cli.train import train
    from cli.train_resume import _FIXED, RESUME_HELP

    heard = {"data", "val", "device", "workers", "weights", "head", "stop_at", "compiled", "recompute", "track"}
    options = {*signature(train).parameters, *signature(train_options.asked).parameters}
    assert options - {"ui", "options", "resume", "out"} == heard | set(_FIXED)
    assert all(f"--{name.replace('_', '-').replace('compiled', 'compile')}" in RESUME_HELP for name in heard)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--stream", "none", "--cache", "c"], "--cache has no effect with --stream none"),
        (["--stream", "none", "--views", "0"], "--views has no effect with --stream none"),
        (["--head", "head.safetensors"], "--head has no effect with --stream off"),
        (["--views=-1"], "--views -1 is not a list of view numbers from 0"),
        (["--views", "0,0"], "--views 0,0 names a view twice"),
        (["--epochs", "nan"], "--epochs nan"),
        (["--epochs", "inf"], "--epochs inf"),
        (["--epochs", "0"], "--epochs 0"),
        (["--stream", "foo"], "'--stream': 'foo' is not one of 'off', 'on', 'none'"),
        ([], "--cache DIR"),
    ],
)
def test_what_makes_no_sense_is_refused(kd, words, said):
    ran = kd("train", *words)
    assert ran.code == 2
    assert said in ran.err


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
    assert "hint: name the folder of a run; near: kd/runs/photos-run" in ran.err


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


def test_one_of_several_processes_tells_what_is_wrong(kd, monkeypatch):
    for rank, told in (("0", True), ("1", False)):
        monkeypatch.setenv("RANK", rank)
        ran = kd("train", "--epochs", "nan")
        assert ran.code == 2
        assert bool(ran.err) is told


def test_a_run_of_several_processes_is_gone_on_with_by_a_whole_command(kd, run):
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"processes": 2}))
    ran = kd("train", "--resume", run, "--device", "cpu")
    assert ran.code == 6
    assert f"hint: torchrun --nproc-per-node 2 --no-python kd train --resume {run}" in ran.err


def test_stopping_is_no_error_and_tells_the_command_that_goes_on(kd, cache, tmp_path, monkeypatch):
    from students.train import Training

    after = Training._after_step

    def stopped(self, interrupted):
        interrupted._number = signal.SIGINT
        return after(self, interrupted)

    monkeypatch.setattr(Training, "_after_step", stopped)
    words = ["train", "--cache", cache, *QUICK[2:], "--steps", 4, "--size", 32]
    ran = kd(*words, "--out", tmp_path / "r")
    assert ran.code == 130
    assert "error:" not in ran.err
    assert "\nstopped\n" in ran.err
    ran = kd(*words, "--out", tmp_path / "s", "--json")
    last = json.loads(ran.err.splitlines()[-1])
    assert (last["kind"], last["hint"]) == ("Stopped", f"kd train --resume {tmp_path / 's'}")


def test_an_export_is_not_written_over(kd, run, tmp_path):
    words = ["student", "export", run, "--format", "timm", "--out", tmp_path / "out"]
    assert kd(*words).code == 0
    before = (tmp_path / "out" / "model.safetensors").read_bytes()
    ran = kd("student", "export", make_run(tmp_path / "other", seed=1).path, *words[3:])
    assert ran.code == 2
    assert "model.safetensors is there already" in ran.err
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == before


def test_an_evaluation_of_other_images_of_the_same_name_is_kept_beside_the_first(kd, photos, tmp_path):
    import shutil

    run = make_run(tmp_path / "animals", small_spec(classes=("cats", "dogs"))).path
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

    run = make_run(tmp_path / "animals", small_spec(classes=("cats", "dogs"))).path
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
    run = make_run(tmp_path / "animals", small_spec(classes=("cats", "dogs")))
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


def test_small_networks_are_counted_in_millions(kd):
    assert "M an image" in kd("student", "show", "tinyvit-5m", "--input-size", 32).out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--set", "objective.soft=0"],
            "objective: soft and hard are both 0: nothing would be learnt (--set objective.soft)",
        ),
        (["--set", "batc=3"], "hint: kd config show recipes/demo prints every key"),
    ],
)
def test_a_recipe_that_contradicts_itself_is_blamed_on_what_was_set(kd, cache, words, said):
    ran = kd("train", "--cache", cache, *words)
    assert ran.code == 2
    assert said in ran.err


def test_help_tells_that_out_is_the_run(kd):
    said = " ".join(kd("train", "--help").out.split())
    assert "The run; left out: a new name in ./kd/runs." in said


@pytest.mark.parametrize(
    ("words", "said", "way"),
    [
        (["--device", "gpu"], "--device gpu is none that can be computed on", "--device cpu, cuda or cuda:N"),
        (["--device", "meta"], "--device meta is none", "--device cpu, cuda or cuda:N"),
        (["--micro", 7], "a batch of 8 in pieces of 7 leaves an image alone, and at 32 pixels", "--micro 6, or"),
        (["--micro", 1], "a batch of 8 in pieces of 1 leaves an image alone", "--micro 8, or see more with --size 64"),
        (["--batch", 1], "a batch of 1 in pieces of 1 leaves an image alone", "--batch 2 or more"),
        (["--views", "0,3", "--stream", "on"], "view 3 is asked for, but", "kd cache add-views"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_a_run_is_made(kd, cache, tmp_path, words, said, way):
    ran = kd("train", "--cache", cache, *QUICK, "--size", 32, "--out", "r", *words)
    assert ran.code in (2, 6)
    assert said in ran.err
    assert way in ran.err.partition("hint:")[2]
    assert not (tmp_path / "r").exists()


def test_one_image_alone_is_no_matter_where_norms_rest_or_maps_are_larger(kd, cache):
    ways = (["--size", 32, "--set", "frozen_norms=true"], ["--size", 64])
    for number, words in enumerate(ways):
        assert (
            kd("train", "--cache", cache, *QUICK, "--batch", 2, "--micro", 1, "--out", f"r{number}", *words).code == 0
        )


def test_a_finished_training_ends_once_however_often_it_is_gone_on_with(kd, cache, tmp_path):
    assert kd("train", "--cache", cache, *QUICK, "--size", 32, "--out", "r").code == 0
    before = (tmp_path / "r" / "metrics.jsonl").read_text()
    assert before.count('"end"') == 1
    assert kd("train", "--resume", "r", "--workers", 0, "--device", "cpu").code == 0
    assert (tmp_path / "r" / "metrics.jsonl").read_text() == before


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


def test_a_process_that_fails_alone_says_so_itself(monkeypatch, capfd):
    from cli.output import Ui
    from kdcache.errors import Mismatch
    from students import world

    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(world, "ALONE", 0.0)
    monkeypatch.setattr(world.distributed, "init_process_group", lambda backend: None)
    monkeypatch.setattr(world.distributed, "destroy_process_group", lambda: None)

    def fail(error):
        def work():
            with world.joined("cpu"):
                raise error

        return Ui([]).guard(work), capfd.readouterr().err

    assert fail(Mismatch("no such image", hint="look")) == (6, "error: process 1 of 2: no such image\n\nhint: look\n")
    lost = RuntimeError("[gloo/transport/tcp/pair.cc:561] Connection closed by peer")
    assert fail(lost) == (5, ""), "the first process speaks of it"
    monkeypatch.setenv("RANK", "0")
    code, said = fail(lost)
    assert code == 5
    assert "process 0 of 2 has lost the others" in said
