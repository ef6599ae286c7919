"""A training that is killed at any moment, or runs out of disk: the same command, or the one it hints at, goes on."""

import pytest

from kdcache.errors import StorageError, UsageError
from students.runs.run import Run
from tests.faults.moments import moments
from tests.students.conftest import cache as cache
from tests.students.conftest import learn, losses_of, same
from tests.students.conftest import one_thread as one_thread

ASKED = {"steps": 2, "keep_every": 1}


def finish(out, cache):
    """As a person would: the same command again, and what its hint says. Whether that was to resume comes back, too."""
    try:
        return learn(out, cache, **ASKED)[0], False
    except UsageError as taken:
        if f"kd train --resume {out}" not in taken.hint:
            raise
    return learn(out, resume=True)[0], True


@pytest.mark.slow
def test_a_training_killed_at_any_moment_is_finished_by_the_same_command_or_by_resuming(cache, tmp_path):
    with moments(tmp_path / "run", tmp_path) as left:
        whole, _ = learn(tmp_path / "run", cache, **ASKED)
    assert len(left) > 8
    seen = set()
    for names, copy in left:
        run, resumed = finish(copy, cache)
        assert resumed is ("run.json" in names), names
        assert losses_of(run) == losses_of(whole), names
        assert same(run, whole), names
        assert not [path for path in copy.rglob("*") if ".tmp-" in path.name], names
        seen.add(resumed)
    assert seen == {True, False}


def test_a_run_without_its_record_is_not_begun_over(cache, tmp_path):
    run, _ = learn(tmp_path / "run", cache, **ASKED)
    (run.path / "run.json").unlink()
    with pytest.raises(UsageError, match=r"has checkpoints \(00000001, 00000002\) and no run.json"):
        learn(tmp_path / "run", cache, **ASKED)


def test_too_small_a_disk_is_told_before_the_first_step(small_disk, cache):
    folder, mount = small_disk
    mount("remount,size=60m")
    with pytest.raises(StorageError, match=r"run has room for [\d.]+ MB, this training needs [\d.]+ MB"):
        learn(folder / "run", cache, **ASKED)
    mount("remount,size=300m")
    run, outcome = learn(folder / "run", cache, **ASKED)
    assert outcome.ended == "done"
    assert len(losses_of(run)) == 2


def test_a_disk_that_fills_up_on_the_way_loses_nothing_that_was_kept(small_disk, cache, tmp_path, monkeypatch):
    folder, mount = small_disk
    mount("remount,size=90m")  # step 0 and most of step 1
    with monkeypatch.context() as patch:
        patch.setattr("students.train.loop.check_room", lambda *_: None)
        with pytest.raises(StorageError, match="No space left on device") as full:
            learn(folder / "run", cache, **ASKED)
    run = Run.open(folder / "run")
    assert full.value.hint.endswith(f"can be written again: {run.way_on}")
    with pytest.raises(StorageError, match="has room for"):
        learn(folder / "run", resume=True)
    mount("remount,size=400m")
    _, outcome = learn(folder / "run", resume=True)
    assert outcome.ended == "done"
    assert same(run, learn(tmp_path / "whole", cache, **ASKED)[0])
