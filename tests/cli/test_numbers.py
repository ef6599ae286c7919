"""Numbers of thousands of digits on the command line are wrong values like others, wherever a number is read from text."""

import pytest

MANY = "9" * 5000


@pytest.mark.parametrize(
    "words",
    [
        ("cache", "plan", "--codec", f"topk:{MANY}"),
        ("cache", "plan", "--compress", f"zstd:{MANY}"),
        ("cache", "plan", "--views", MANY),
        ("cache", "plan", "--batch", MANY),
        ("cache", "plan", "--input-size", MANY),
        ("cache", "plan", "--data", f"shapes:count={MANY}"),
        ("cache", "plan", "--data", f"few:{MANY}:shapes"),
        ("cache", "plan", "--set", f"flip={MANY}"),
        ("cache", "build", "--only", f"1/{MANY}"),
        ("train", "--views", MANY, "--cache", "nowhere"),
        (
            "train",
            "--student",
            "tinyvit-5m",
            "--stream",
            "none",
            "--data",
            "shapes:count=40",
            "--device",
            f"cuda:{MANY}",
        ),
        ("train", "--student", "tinyvit-5m", "--stream", "none", "--train-set", f"batch={MANY}"),
        ("compare", "--gpu-memory", f"{MANY}GB"),
        ("cache", "get", "shapes/0", "--view", MANY),
    ],
    ids=lambda words: " ".join(words).replace(MANY, "9…"),
)
def test_a_number_of_5000_digits_is_a_wrong_value(words, kd):
    ran = kd(*words)
    assert ran.code not in (0, 1), ran.err[-300:]
    assert "a bug in kd" not in ran.err


def test_a_setting_of_5000_digits_in_the_environment_is_a_wrong_value(kd, monkeypatch):
    monkeypatch.setenv("KD_VIEWS__FLIP", MANY)
    ran = kd("config", "show", "views/augment")
    assert ran.code == 2
    assert "does not fit into 64 bits (KD_VIEWS__FLIP)" in ran.err
