"""The story of the demo is told from what the commands answer, in few lines."""

import json

import pytest

from tests.demo import __main__ as demo


@pytest.mark.slow
def test_the_demo_tells_its_story_in_forty_lines(tmp_path, monkeypatch, capsys):
    """On 256 images, with few steps."""
    monkeypatch.chdir(tmp_path)
    small = {
        "BUILD": ("--data", "shapes:count=256"),
        "TRAIN": ("--steps", "2", "--batch", "8"),
        "EVAL": ("--batch", "64"),
    }
    for name, options in small.items():
        monkeypatch.setattr(demo, name, (*getattr(demo, name), *options))
    quick = ("--data", "shapes:count=64", "--steps", "3", "--repeat", "1", "--train-batch", "8", "--student-size", "32")
    monkeypatch.setattr(demo, "COMPARE", (*demo.COMPARE, *quick))
    demo.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 120
    text = "\n".join(lines)
    for command in (
        "kd cache build",
        "kd cache get train/000007",
        "kd train --student tinyvit-5m",
        "kd compare on-stream off-stream",
    ):
        assert f"$ {command}" in text
    assert "of 2,000 held-out images correctly" in text
    assert "report.html" in text


def test_the_same_student_on_true_classes_is_cited_where_it_was_measured(tmp_path):
    from tests.demo.story import trained

    run, judged = {"seconds": 61.0, "images": 2560}, {"top1": 0.25}
    assert len(trained(run, judged, tmp_path)) == 1
    (tmp_path / "demo.json").write_text(json.dumps({"true classes": "21.0 ± 0.4 %"}))
    took, cited = trained(run, judged, tmp_path)
    assert "25.0%" in took
    assert "21.0 ± 0.4 %" in cited
    assert "docs/results/demo.md" in cited
