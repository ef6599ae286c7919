"""The experiment on real pictures goes on where it was stopped, and never mixes runs that do not belong together."""

import json

import pytest

from kdcache.errors import UsageError
from tests.experiments import real_images
from tests.experiments.counted import trained_once
from tests.experiments.real_images import ARMS, SAME, SEEDS, TEACHER, earlier, main, write
from tests.experiments.trials import trials

DIGEST = "ab12"


def result_of(top1, **other):
    return {"top1": top1, **SAME, "teacher": DIGEST, "seconds": 60.0, **other}


@pytest.fixture
def kept(tmp_path):
    """The folder of results, with the teacher's."""
    folder = tmp_path / "real-images"
    folder.mkdir()
    (folder / TEACHER).write_text(json.dumps({"teacher": DIGEST, "top1": 0.7, "cached": 0.8}))
    return folder


def keep(kept, arm, seed, result):
    (kept / f"{ARMS[arm].file}-{seed}.json").write_text(json.dumps(result))


def test_a_run_has_a_file_and_is_not_repeated(tmp_path):
    results = tmp_path / "results"
    first = list(trials(tmp_path, trained_once, ["a", "b"], (0,), results))
    assert [path.name for path in sorted(results.iterdir())] == ["a-0.json", "b-0.json"]
    (results / "a-0.json").write_text(json.dumps({"top1": 5.0}))
    again = list(trials(tmp_path, trained_once, ["a", "b", "c"], (0,), results))
    assert [run["top1"] for _, _, run in again] == [5.0, 1.0, 2.0]
    assert (again[1], first[1][2]["top1"]) == (first[1], 1.0)


def test_when_all_runs_are_there_nothing_is_trained_and_the_page_is_written(tmp_path, kept, capsys):
    for arm in range(len(ARMS)):
        for seed in SEEDS:
            keep(kept, arm, seed, result_of(0.5 + arm / 100))
    main(tmp_path / "work", tmp_path / "none", tmp_path)
    page = (tmp_path / "real-images.md").read_text("utf-8")
    assert "42 of 42 trainings" in page
    assert "| 1 | 0 | 1 | 8 | 3 | 51.0 ± 0.0 | +1.0 ± 0.0 |" in page
    assert not (tmp_path / "work").exists()


def test_the_page_of_a_part_says_how_many_seeds_an_arm_has(tmp_path, kept):
    known = {(0, 0): result_of(0.50), (0, 1): result_of(0.52), (2, 0): result_of(0.55)}
    write(known, tmp_path)
    lines = (tmp_path / "real-images.md").read_text("utf-8").splitlines()
    assert [line for line in lines if line.startswith("| 0")] == [
        "| 0 | 1 |  | 8 | 2 | 51.0 ± 12.7 |  |",
        "| 0.7 | 0.3 | 2 | 8 | 1 | 55.0 | +5.0 |",
    ]


def test_runs_of_other_steps_or_of_another_teacher_are_refused(kept):
    keep(kept, 0, 0, result_of(0.5))
    assert earlier(kept) == {(0, 0): result_of(0.5)}
    keep(kept, 1, 0, result_of(0.5, steps=7))
    with pytest.raises(UsageError, match=rf"was measured with steps 7, now {SAME['steps']}"):
        earlier(kept)
    keep(kept, 1, 0, result_of(0.5, teacher="cd34"))
    with pytest.raises(UsageError, match="learnt from another teacher than ab12"):
        earlier(kept)


def test_every_arm_has_a_name_and_a_recipe_of_its_own():
    assert len({arm.file for arm in ARMS}) == len(ARMS)
    assert all(arm.settings[: len(real_images.TRAINING)] == real_images.TRAINING for arm in ARMS)
