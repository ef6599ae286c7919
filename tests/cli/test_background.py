"""`--background` from the plan to the exported folder, as a user sees it."""

import json

import pytest


@pytest.fixture
def black(kd, build_words, tmp_path):
    assert kd(*build_words, "--out", "black", "--background", "black").code == 0
    return tmp_path / "black"


def test_it_is_shown_in_words_and_written_in_the_plan(kd, black, built):
    assert "1 plain, transparency on black, seed 0" in kd("cache", "info", black).out
    assert kd("cache", "info", black, "--json").json["plan"]["views"]["recipe"]["background"] == "black"
    assert json.loads((black / "plan.json").read_bytes())["views"]["recipe"]["background"] == "black"
    assert "transparency on white" in kd("cache", "info", built).out


def test_a_cache_goes_on_with_its_own(kd, black, build_words):
    assert kd("cache", "build", "--out", black, "--device", "cpu", "--workers", 0).code == 0
    ran = kd("cache", "build", "--out", black, "--background", "white")
    assert (ran.code, "--background cannot be changed" in ran.err) == (2, True)
    ran = kd(*build_words, "--out", black)
    assert "--background: black there, white here" in ran.err


def test_no_colour_is_refused_with_the_choices(kd, build_words):
    ran = kd(*build_words, "--background", "purple")
    assert ran.code == 2
    assert "white, black, drop" in ran.err


def test_a_run_goes_on_with_its_own(kd, run):
    ran = kd("train", "--resume", run, "--background", "black")
    assert (
        ran.code,
        "--background cannot be changed when resuming: this run was started with background white" in ran.err,
    ) == (2, True)


def test_a_student_shows_its_own_and_takes_it_along(kd, run):
    assert "background" in kd("student", "show", run).out
    assert kd("student", "show", run, "--json").json["geometry"]["background"] == "white"
    files = kd("student", "export", run, "--format", "timm", "--out", "out", "--json").json["files"]
    assert {path.rpartition("/")[2] for path in files} == {
        "model.safetensors", "config.json", "preprocess.json", "prepare.py",
    }  # fmt: skip
