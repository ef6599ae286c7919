"""`kd cache plan` says whether the cache would pay: for a student whose step it measures, or why nothing is known."""

import pytest

LOGITS = ["cache", "plan", "--teacher", "timm:test_vit", "--weights", "random", "--signal", "logits", "--batch", 4]
HERE = ["--workers", 0, "--device", "cpu"]


@pytest.fixture
def plan_words(photos):
    return [*LOGITS, "--data", photos, *HERE, "--student-size", 32]


def test_the_job_is_placed_by_a_measured_step(kd, plan_words, tmp_path):
    """4 students of 3 epochs from 2 views: every stored view is used 6 times."""
    ran = kd(*plan_words, "--epochs", 3, "--students", 4, "--views", 2, "--json")
    assert ran.code == 0
    pays = ran.json["pays"]
    where = pays["position"]
    assert (pays["student"], pays["pixels"], pays["batch"]) == ("tinyvit-5m", 32, 128)
    assert [pays["job"][key] for key in ("images", "views", "epochs", "students")] == [10, 2, 3.0, 4]
    assert pays["step_seconds"] > 0
    assert 1 <= pays["measured_images"] <= 64
    assert where["uses"] == 6.0
    assert where["epochs"] == pytest.approx(2.0), "on a CPU a stored view costs what a connected teacher adds"
    assert where["saves"] == pytest.approx(where["ratio"] / (1 + where["ratio"]) * (1 - 1 / 6))
    assert ran.json["pays_unknown"] is None
    assert "plan" not in ran.json
    assert not any(tmp_path.iterdir()), "nothing is written"


def test_two_lines_say_so_in_words(kd, plan_words):
    ran = kd(*plan_words, "--epochs", 6)
    assert ran.code == 0
    (training,) = [line for line in ran.out.splitlines() if line.startswith("training ")]
    (pays,) = [line for line in ran.out.splitlines() if line.startswith("pays ")]
    assert " × a step of tinyvit-5m at 32 pixels on this machine" in training
    assert "yes: with 1 view, 6 epochs and 1 student a cache saves about " in pays
    assert pays.endswith("it has paid for itself after 1 epoch of one student")


def test_a_cache_whose_views_are_hardly_used_does_not_pay(kd, plan_words):
    ran = kd(*plan_words, "--epochs", 6, "--views", 90)
    assert "no: with 90 views, 6 epochs and 1 student a cache takes " in ran.out
    assert "it would pay for itself after 90 epochs of one student" in ran.out


def test_without_a_student_for_these_signals_a_line_says_why(kd, build_words):
    ran = kd("cache", "plan", *build_words[2:])
    assert ran.code == 0
    assert "pays     not known: no student learns from embedding of timm alone" in ran.out
    ran = kd("cache", "plan", *build_words[2:], "--json")
    assert ran.json["pays"] is None
    assert ran.json["pays_unknown"].startswith("no student learns from embedding")


def test_a_student_that_was_named_must_fit(kd, build_words, plan_words):
    ran = kd("cache", "plan", *build_words[2:], "--student", "tinyvit-5m")
    assert ran.code == 6
    assert "the planned cache keeps embedding, but the recipe needs logits" in ran.err
    assert kd(*plan_words, "--student", "no-such").code == 2
    assert kd(*plan_words, "--epochs", 0).code == 2
