"""`list_runs`: every run is an entry, whatever is the matter with it, and the first one is LATEST."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from students.runs.newest import newest_run, remember_run
from students.runs.overview import list_runs

GOLDEN = Path(__file__).parents[1] / "golden" / "runs"


@pytest.fixture
def root(tmp_path) -> Path:
    """A finished run, one that was stopped, and a finished one that lies elsewhere: the latest of them."""
    folder = tmp_path / "runs"
    for seconds, name in enumerate(("whole", "stopped", "elsewhere/dense")):
        place = tmp_path / name if "/" in name else folder / name
        shutil.copytree(GOLDEN / place.name, place)
        os.utime(place / "run.json", (1_700_000_000 + seconds,) * 2)
    remember_run(tmp_path / "elsewhere" / "dense", folder)
    return folder


def test_the_run_started_last_comes_first_and_is_latest(root):
    assert [entry.path.name for entry in list_runs(root)] == ["dense", "stopped", "whole"]
    assert list_runs(root)[0].path == newest_run(root)
    os.utime(root / "whole" / "run.json", (1_700_000_009,) * 2)
    assert list_runs(root)[0].path == newest_run(root) == root / "whole"


def test_an_entry_says_how_far_a_run_is_and_how_good(root):
    dense, stopped, whole = (entry.plain() for entry in list_runs(root))
    assert (whole["state"], whole["steps"], whole["steps_planned"]) == ("done", 7, 7)
    assert (stopped["state"], stopped["steps"], stopped["steps_planned"]) == ("stopped", 4, 7)
    assert (dense["stream"], dense["classes"]) == ("off", 0)
    assert whole["student"] == "tinyvit-golden"
    assert whole["started"] == "2023-11-14T22:13:20+00:00"


def test_the_best_score_is_that_of_any_validation(root):
    with (root / "stopped" / "metrics.jsonl").open("a") as lines:
        for step, score in ((5, 0.5), (6, 0.25)):
            line = {"kind": "val", "step": step, "score": score, "top1": 0.1, "best": step == 5, "images": 4}
            lines.write(json.dumps(line) + "\n")
    stopped = {entry.path.name: entry.plain() for entry in list_runs(root)}["stopped"]
    assert (stopped["best"], stopped["steps"], stopped["state"]) == (0.5, 6, "stopped")


def test_a_task_of_which_less_is_better_decides_itself_what_is_best(root):
    """The training wrote down which validation was better; `kd runs list` does not need to know the task for it."""
    _judged(root / "stopped", (5, 0.5, True), (6, 0.25, True), (7, 0.75, False))
    assert _best(root, "stopped") == 0.25


def test_lines_of_the_first_releases_have_top_1_alone(root):
    file = root / "stopped" / "metrics.jsonl"
    file.write_text("".join(f'{{"kind": "val", "step": {n}, "top1": {n / 10}}}\n' for n in (1, 3, 2)))
    assert _best(root, "stopped") == 0.3


def _judged(run: Path, *steps: tuple[int, float, bool]) -> None:
    with (run / "metrics.jsonl").open("a") as lines:
        for step, score, better in steps:
            lines.write(json.dumps({"kind": "val", "step": step, "score": score, "best": better, "images": 4}) + "\n")


def _best(root: Path, name: str) -> float | None:
    return {entry.path.name: entry.plain() for entry in list_runs(root)}[name]["best"]


def test_a_run_that_is_being_trained_is_running(root):
    """The lock belongs to another process; it is seen, and neither taken nor changed."""
    hold = (
        "import sys; from pathlib import Path; from students.runs.run import Run\n"
        "with Run.open(Path(sys.argv[1])).locked():\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(root / "stopped")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as trainer:
        assert trainer.stdout.readline() == "held\n"
        assert {e.path.name: e.plain()["state"] for e in list_runs(root)}["stopped"] == "running"
        trainer.stdin.close()
    assert {e.path.name: e.plain()["state"] for e in list_runs(root)}["stopped"] == "stopped"


def test_a_run_nobody_trained_here_has_no_lock_and_gets_none(root):
    (root / "whole" / "lock").unlink(missing_ok=True)
    before = sorted(root.rglob("*"))
    list_runs(root)
    assert sorted(root.rglob("*")) == before


def test_what_cannot_be_read_is_listed_with_its_reason(root):
    (root / "whole" / "metrics.jsonl").write_text("{}\n")
    (root / "stopped" / "run.json").write_text("{")
    (root / "bare").mkdir()
    (root / "piped").mkdir()
    os.mkfifo(root / "piped" / "run.json")
    (root / "elsewhere.txt").unlink()
    os.mkfifo(root / "elsewhere.txt")
    reasons = {entry.path.name: entry.reason for entry in list_runs(root)}
    assert reasons.keys() == {"whole", "stopped", "bare", "piped", "elsewhere.txt"}
    assert "line 1" in reasons["whole"]
    assert "run.json" in reasons["stopped"]
    assert "no run.json" in reasons["bare"]
    assert "not a file" in reasons["elsewhere.txt"]
    assert all(entry.plain()["readable"] is False for entry in list_runs(root))


def test_a_folder_that_is_not_there_holds_no_runs(tmp_path):
    assert list_runs(tmp_path / "nowhere") == []
