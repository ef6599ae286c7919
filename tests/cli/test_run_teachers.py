"""A trained student as the teacher, `--teacher run:RUN`: every command finds it where it lay, or where --weights says."""

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import QUICK
from tests.students.trained import make_run, small_spec

DATA = "shapes:count=16,size=32"
HERE = ["--workers", 0, "--device", "cpu"]
BUILD = ["--data", DATA, *HERE, "--batch", 8]
TRAIN = [*QUICK, "--size", 32]
COMPARE = ["compare", "on-stream", "off-stream", "--data", DATA, *HERE, "--images", 16, "--steps", 2, "--repeat", 1]
COMPARE += ["--train-batch", 8, "--student-size", 32, "--val", "none", "--out", "cmp"]
OVER_A_CACHE = {
    "resume": ["cache", "build", "--out", "C", *HERE],
    "verify": ["cache", "verify", "C", "--teacher", 4, "--device", "cpu"],
    "train": ["train", "--stream", "on", "--cache", "C", *TRAIN],
}
BY_NAME = {
    "plan": ["cache", "plan", "--teacher", "run:r", *BUILD],
    "build": ["cache", "build", "--teacher", "run:r", *BUILD, "--out", "C"],
    "compare": [*COMPARE, "--teacher", "run:r"],
}
ALL = OVER_A_CACHE | BY_NAME


@pytest.fixture
def in_this_process(monkeypatch):
    """Arms of a comparison are measured here: the import of torch would cost seconds each."""
    from students.compare import rounds
    from students.compare.measuring.measure import Measured, measured

    def here(task, *_):
        found = measured(json.loads(json.dumps(task.plain())))
        return None if found is None else Measured.from_plain(found)

    monkeypatch.setattr(rounds, "in_a_process", here)


@pytest.fixture
def r(tmp_path) -> Path:
    """A run at 32 pixels in the current folder."""
    return make_run(tmp_path / "r", small_spec(size=32)).path


@pytest.fixture
def built(kd, r) -> Path:
    """Half of a cache of two views that this run was the teacher of; the other half is to be built."""
    ran = kd("cache", "build", "--teacher", "run:r", *BUILD, "--part-rows", 8, "--only", "1/2", "--out", "C")
    assert ran.code == 3, ran.err
    return Path("C")


def test_the_first_hour_with_a_run_as_the_teacher(kd, in_this_process):
    """Trained, planned, built, built again, verified, connected and compared; nobody says where its weights lie."""
    steps: dict[str, list[object]] = {
        "train": ["train", "--stream", "none", "--data", DATA, *TRAIN, "--out", "r"],
        "plan": ["cache", "plan", "--teacher", "run:r", *BUILD],
        "build": ["cache", "build", "--teacher", "run:r", *BUILD, "--out", "C"],
        "again": ["cache", "build", "--out", "C"],
        "verify": ["cache", "verify", "C", "--teacher", 50],
        "on": ["train", "--stream", "on", "--cache", "C", *TRAIN, "--stop-at", 1, "--steps", 2, "--out", "on"],
        "resume": ["train", "--resume", "on", *HERE],
        "off": ["train", "--cache", "C", *TRAIN],
        "compare": [*COMPARE, "--teacher", "run:r"],
    }
    for name, words in steps.items():
        ran = kd(*words)
        assert ran.code == 0, (name, ran.err)
    assert "teacher  run r" in ran.out


@pytest.mark.parametrize("name", ["plan", "build", "resume", "verify", "train"])
def test_a_run_that_has_moved_is_asked_for_and_then_found_the_first_time_and_the_second(kd, built, name):
    if name != "verify":
        assert kd("cache", "build", "--out", "C", *HERE).code == 0
    Path("r").rename("moved")
    ran = kd(*ALL[name])
    assert ran.code == (5 if name in OVER_A_CACHE else 2)
    if name in OVER_A_CACHE:
        assert (
            f"teacher of this cache, run:r, is not in its old location {Path.cwd() / 'r'}, nor in ./kd/runs" in ran.err
        )
        assert "hint: give its new location: --weights RUN" in ran.err
    for _ in range(2):
        ran = kd(*ALL[name], "--weights", "moved")
        assert ran.code == (3 if name == "verify" else 0), ran.err
    assert kd("cache", "info", "C", "--json").json["plan"]["teacher"]["size"] == "r"


def test_a_cache_that_was_begun_goes_on_with_a_run_that_has_moved(kd, built):
    shutil.move("r", "moved")
    assert kd(*ALL["build"], "--part-rows", 8, "--weights", "moved").code == 0
    assert kd("cache", "verify", "C", "--teacher", 16, "--weights", "moved").code == 0


def test_a_comparison_goes_on_with_a_run_that_has_moved(kd, r, in_this_process):
    assert kd(*ALL["compare"]).code == 0
    Path("cmp/compare.json").unlink()
    r.rename("moved")
    assert kd(*ALL["compare"]).code == 2
    ran = kd(*ALL["compare"], "--weights", "moved")
    assert ran.code == 0, ran.err
    assert "resuming cmp" in ran.err
    make_run(Path("r"), small_spec(size=32), seed=1)
    ran = kd(*ALL["compare"])
    assert ran.code == 2
    assert "cmp was started with teacher sha256" in ran.err


def test_a_run_that_was_renamed_is_still_the_teacher_of_its_cache(kd, built):
    Path("r").rename("renamed")
    words = ["cache", "build", "--teacher", "run:renamed", *BUILD, "--part-rows", 8, "--out", "C"]
    assert kd(*words).code == 0, "what a run is called is not what it is"
    assert kd(*words, "--json").json["complete"]


@pytest.mark.parametrize("how", ["relative", "absolute", "name", "LATEST"])
def test_a_run_is_named_by_a_path_by_its_name_in_the_runs_folder_or_as_the_newest(kd, tmp_path, how, monkeypatch):
    run = make_run(tmp_path / "kd" / "runs" / "mine", small_spec(size=32)).path
    name = {"relative": "kd/runs/mine", "absolute": str(run), "name": "mine", "LATEST": "LATEST"}[how]
    assert kd("cache", "plan", "--teacher", f"run:{name}", *BUILD).code == 0
    assert kd("cache", "build", "--teacher", f"run:{name}", *BUILD, "--out", "C").code == 0
    elsewhere = tmp_path / "else" / "where"
    elsewhere.mkdir(parents=True)
    monkeypatch.chdir(elsewhere)
    assert kd("cache", "verify", tmp_path / "C", "--teacher", 4).code == 0
    assert kd("cache", "build", "--out", tmp_path / "C").code == 0


def test_a_cache_that_does_not_know_where_its_run_lay_finds_it_by_name_or_by_its_weights(kd, built):
    """As caches that were planned before this was kept."""
    from kdcache.store import Store
    from kdcache.store.frame import replace_plan
    from kdcache.store.places.local import LocalPlace

    plan = Store.open(built).plan
    older = plan.model_copy(update={"teacher": plan.teacher.without_paths()})
    assert older.identity == plan.identity
    replace_plan(LocalPlace(built), older)
    assert kd(*OVER_A_CACHE["resume"]).code == 0, "it lies in the current folder"
    Path("kd/runs").mkdir(parents=True)
    for name in ("kd/runs/r", "kd/runs/another"):
        Path("r" if name.endswith("r") and Path("r").exists() else "kd/runs/r").rename(name)
        assert kd(*OVER_A_CACHE["verify"]).code == 0
    Path("kd/runs/another").rename("gone")
    ran = kd(*OVER_A_CACHE["verify"])
    assert ran.code == 5
    assert "the teacher of this cache, run:r, is not in ./kd/runs" in ran.err


@pytest.mark.parametrize("name", ["build", *OVER_A_CACHE])
def test_another_run_of_the_same_name_is_refused_with_both_digests(kd, built, name):
    from kdcache.base.digest import file_sha256
    from kdcache.store import Store

    shutil.rmtree("r")
    other = make_run(Path("r"), small_spec(size=64), seed=1)
    then, now = Store.open(built).plan.teacher.weights.sha256, file_sha256(other.weights)
    if name == "build":  # as many pixels: what is told first is what differs most
        shutil.rmtree("r")
        now = file_sha256(make_run(Path("r"), small_spec(size=32), seed=1).weights)
        then, now = then[:8], now[:8]
    for more in ([], ["--weights", "r"]):
        ran = kd(*ALL[name], *(["--part-rows", 8] if name == "build" else []), *more)
        assert ran.code == 6
        assert then in ran.err
        assert now in ran.err


def test_a_dense_student_is_a_teacher_that_is_found_too(kd, tmp_path):
    from students.families.registry import student_spec

    make_run(tmp_path / "dense", student_spec("data2vec-nano", classes=()))
    words = ["--teacher", "run:dense", "--data", "shapes:count=8,size=64", *HERE, "--batch", 4]
    assert kd("cache", "plan", *words).code == 0
    assert kd("cache", "build", *words, "--out", "D").code == 0
    assert kd("cache", "build", "--out", "D").code == 0
    assert kd("cache", "verify", "D", "--teacher", 8).code == 0
    Path("dense").rename("moved")
    assert kd("cache", "verify", "D", "--teacher", 8).code == 5
    assert kd("cache", "build", "--teacher", "run:dense", "--weights", "moved", *words[2:], "--out", "E").code == 0
    assert kd("cache", "verify", "E", "--teacher", 8).code == 0


def test_more_views_of_a_runs_cache_are_built_without_a_word(kd, r):
    words = ["--views", 2, "--recipe", "augment", "--out", "C"]
    assert kd("cache", "build", "--teacher", "run:r", *BUILD, *words).code == 0
    assert kd("cache", "add-views", "C", 1).code == 0
    assert kd("cache", "build", "--out", "C", *HERE).code == 0
    assert kd("cache", "convert", "C", "--format", "zarr", "--out", "Z").code == 0
    assert kd("cache", "verify", "Z", "--teacher", 4).code == 0


def test_the_newest_run_and_a_place_are_not_named_at_once(kd, r):
    ran = kd("cache", "plan", "--teacher", "run:LATEST", "--weights", "r", *BUILD)
    assert ran.code == 2
    assert "--teacher run:NAME --weights r" in ran.err.split("hint: ")[1]
    ran = kd("cache", "build", "--teacher", "run:r", "--weights", "random", *BUILD)
    assert ran.code == 2
    assert "a run has its own weights" in ran.err


def test_a_hint_names_a_run_as_it_can_be_opened(kd, tmp_path):
    """The folder is elsewhere: run:NAME would lead nowhere."""
    run = make_run(tmp_path / "deep" / "r", small_spec(size=32)).path
    words = ["--signal", "embedding", "--out", "C"]
    assert kd("cache", "build", "--teacher", "run:deep/r", *BUILD, *words).code == 0
    ran = kd("train", "--cache", "C", *TRAIN)
    assert ran.code == 6
    assert f"kd cache build --teacher run:{run}" in ran.err


def test_the_processes_of_a_comparison_open_one_run_whatever_is_the_newest_by_then(kd, tmp_path):
    from kdcache.build.options import BuildOptions
    from students.compare.choices import pinned

    run = make_run(tmp_path / "kd" / "runs" / "mine", small_spec(size=32)).path
    for name in ("LATEST", "mine", "kd/runs/mine"):
        build = pinned(BuildOptions(f"run:{name}"))
        assert (build.teacher, build.weights) == ("run:mine", str(run))
    run.rename(tmp_path / "moved")
    build = pinned(BuildOptions("run:mine", weights="moved"))
    assert (build.teacher, build.weights) == ("run:mine", str(tmp_path / "moved"))
    assert pinned(BuildOptions("florence")) == BuildOptions("florence")


def test_a_run_that_is_not_there_is_told_with_the_option_that_says_where_it_is(kd):
    ran = kd("cache", "plan", "--teacher", "run:r")
    assert ran.code == 2
    assert "hint: if the run has moved: --weights RUN; otherwise " in ran.err
