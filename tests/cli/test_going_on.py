"""`kd train --resume` the way a person would type it, and one process of several: who goes on, and who speaks."""

import json
import signal

import pytest

from tests.cli.conftest import QUICK


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", 96], "--size cannot be changed when resuming: this run was started with size 64"),
        (["--seed", 0], "--seed cannot be changed when resuming: this run was started with seed 0"),
        (
            ["--stream", "none", "--batch", 4],
            "--batch cannot be changed when resuming: this run was started with batch 8",
        ),
        (["--out", "other"], "--out cannot be used when resuming: the run stays in"),
        (["--set", "patience=3"], "--set cannot be changed when resuming"),
        (["--head", "head.safetensors"], "this run was started with --stream none"),
    ],
)
def test_an_option_that_a_resumed_run_cannot_honour_is_refused(kd, run, words, message):
    ran = kd("train", "--resume", run, *words)
    assert ran.code == 2
    assert message in ran.err


def test_epochs_are_refused_for_a_run_whose_recipe_counts_steps():
    from types import SimpleNamespace

    from cli.train_resume import refuse_fixed
    from kdcache.errors import UsageError

    recipe, pacing = SimpleNamespace(epochs=None), SimpleNamespace(steps=30_000)
    run = SimpleNamespace(record=SimpleNamespace(recipe=recipe, pacing=pacing, stream="off"))
    with pytest.raises(UsageError, match=r"--epochs cannot be changed .* was started with 30,000 steps"):
        refuse_fixed(frozenset({"epochs"}), run)


def test_every_option_of_a_new_training_is_honoured_or_refused_beside_resume():
    from inspect import signature

    from cli import train_options
    from cli.train import train
    from cli.train_resume import _FIXED, RESUME_HELP

    machine = {"device", "workers", "keep_views", "compiled", "recompute", "stop_at", "track"}
    allowed = {*machine, "data", "val", "weights", "head"}
    options = {*signature(train).parameters, *signature(train_options.training_options).parameters}
    assert options - {"ui", "options", "resume", "out"} == allowed | set(_FIXED)
    assert all(f"--{name.replace('_', '-').replace('compiled', 'compile')}" in RESUME_HELP for name in allowed)


def test_stopping_is_no_error_and_tells_the_command_that_goes_on(kd, cache, tmp_path, monkeypatch):
    from students.train.loop import Training

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


def test_a_finished_training_ends_once_however_often_it_is_gone_on_with(kd, cache, tmp_path):
    assert kd("train", "--cache", cache, *QUICK, "--size", 32, "--out", "r").code == 0
    before = (tmp_path / "r" / "metrics.jsonl").read_text()
    assert before.count('"end"') == 1
    assert kd("train", "--resume", "r", "--workers", 0, "--device", "cpu").code == 0
    assert (tmp_path / "r" / "metrics.jsonl").read_text() == before


def test_a_run_of_several_processes_is_gone_on_with_by_a_whole_command(kd, run):
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"processes": 2}))
    ran = kd("train", "--resume", run, "--device", "cpu")
    assert ran.code == 6
    assert f"hint: torchrun --nproc-per-node 2 --no-python kd train --resume {run}" in ran.err


def test_one_of_several_processes_tells_what_is_wrong(kd, monkeypatch):
    for rank, prints in (("0", True), ("1", False)):
        monkeypatch.setenv("RANK", rank)
        ran = kd("train", "--epochs", "nan")
        assert ran.code == 2
        assert bool(ran.err) is prints


def test_a_process_that_fails_alone_says_so_itself(monkeypatch, capfd):
    from cli.output import Ui
    from kdcache.errors import Mismatch
    from students.base import machine as world

    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(world, "ALONE", 0.0)
    monkeypatch.setattr(world.distributed, "init_process_group", lambda backend: None)  # type: ignore[attr-defined]
    monkeypatch.setattr(world.distributed, "destroy_process_group", lambda: None)  # type: ignore[attr-defined]

    def fail(error):
        def work():
            with world.joined("cpu"):
                raise error

        return Ui([]).guard(work), capfd.readouterr().err

    assert fail(Mismatch("no such image", hint="look")) == (6, "error: process 1 of 2: no such image\n\nhint: look\n")
    lost = RuntimeError("[gloo/transport/tcp/pair.cc:561] Connection closed by peer")
    assert fail(lost) == (5, ""), "the first process speaks of it"
    monkeypatch.setenv("RANK", "0")
    code, printed = fail(lost)
    assert code == 5
    assert "process 0 of 2 lost its connection to the others" in printed
