"""`kd cache list` and `kd runs list`, and what Tab offers."""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.slowness import slowness

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def here(tmp_path) -> Path:
    """Two caches and two runs where commands look for them, one cache beside them, and one in another folder."""
    for name, place in {"plain": "kd/caches/first", "interrupted": "kd/caches/half", "zarr": "beside"}.items():
        shutil.copytree(GOLDEN / "caches" / name, tmp_path / place)
    shutil.copytree(GOLDEN / "caches" / "plain", tmp_path / "other" / "c1")
    for seconds, name in enumerate(("whole", "stopped")):
        shutil.copytree(GOLDEN / "runs" / name, tmp_path / "kd" / "runs" / name)
        os.utime(tmp_path / "kd" / "runs" / name / "run.json", (1_700_000_000 + seconds,) * 2)
    return tmp_path


def test_caches_are_listed_for_people_and_for_scripts(kd, here):
    ran = kd("cache", "list")
    assert ran.code == 0
    head, *rows = ran.out.splitlines()
    assert head.split() == ["cache", "teacher", "data", "images", "views", "signals", "bytes", "state", "planned"]
    assert sorted(row.split()[0] for row in rows) == ["kd/caches/first", "kd/caches/half"]
    assert "3 of 6 parts" in ran.out
    listed = {Path(entry["path"]).name: entry for entry in kd("cache", "list", "--json").json}
    assert listed.keys() == {"first", "half"}
    info = kd("cache", "info", "kd/caches/half", "--json").json
    shared = ("path", "complete", "parts", "parts_missing", "bytes", "identity")
    assert {key: listed["half"][key] for key in shared} == {key: info[key] for key in shared}


def test_a_broken_cache_is_listed_and_the_others_are_too(kd, here):
    (here / "kd/caches/half/plan.json").write_text('{"\x1b[2J": 1')
    ran = kd("cache", "list")
    assert ran.code == 0
    assert "kd/caches/first" in ran.out
    assert "cannot be read: kd/caches/half/plan.json" in ran.out
    assert "\x1b" not in ran.out
    (entry,) = [e for e in kd("cache", "list", "--json").json if not e["readable"]]
    assert "half/plan.json" in entry["reason"]


def test_runs_are_listed_for_people_and_for_scripts(kd, here):
    ran = kd("runs", "list")
    assert ran.code == 0
    head, stopped, whole = ran.out.splitlines()
    assert head.split() == ["run", "student", "stream", "steps", "best", "state", "started"]
    assert "4 of 7" in stopped
    assert "stopped" in stopped.split()
    assert "done" in whole.split()
    entries = kd("runs", "list", "--json").json
    assert [entry["name"] for entry in entries] == ["stopped", "whole"]
    assert [entry["state"] for entry in entries] == ["stopped", "done"]


def test_nothing_is_an_answer_and_a_way_on(kd):
    for group, way in (("cache", "kd cache build"), ("runs", "kd train")):
        ran = kd(group, "list")
        assert (ran.code, way in ran.err) == (0, True)
        assert kd(group, "list", "--json").json == []


def test_lists_need_no_torch(here):
    script = (
        "import sys; from cli.app import run\n"
        "assert run(['cache', 'list']) == run(['runs', 'list']) == 0\n"
        "assert not {'torch', 'timm', 'transformers', 'h5py', 'zarr'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=here, check=True, env=here_env())


def here_env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def completed(words: str, here: Path) -> list[str]:
    """What the shell is offered for the last word, by the protocol of bash."""
    line = f"kd {words}"
    variables = {"_KD_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    script = (
        "import sys; from cli import main; sys.argv = ['kd']\n"
        "try: main()\n"
        "finally: print('HEAVY' if {'torch', 'numpy', 'timm', 'pyarrow'} & set(sys.modules) else '', file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=here, capture_output=True, text=True, env={**here_env(), **variables}
    )
    assert "HEAVY" not in ran.stderr, "completion has imported a heavy library"
    return ran.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("cache info ", ["kd/caches/first", "kd/caches/half", "beside"]),
        ("cache info kd/caches/h", ["kd/caches/half"]),
        ("cache info other/", ["other/c1"]),
        ("cache merge b", ["beside"]),
        ("cache convert b", ["beside"]),
        ("train --cache b", ["beside"]),
        ("train --cache one=b", ["one=beside"]),
        ("cache get x --cache b", ["beside"]),
        ("eval ", ["LATEST", "stopped", "whole", "kd/runs/stopped", "kd/runs/whole"]),
        ("report w", ["whole"]),
        ("train --resume s", ["stopped"]),
        ("train --from s", ["stopped"]),
        ("finetune L", ["LATEST"]),
        ("student export kd/runs/w", ["kd/runs/whole"]),
        ("student show w", ["whole"]),
        ("student show tinyvit-5", ["tinyvit-5m"]),
        ("train --student tinyvit-5", ["tinyvit-5m"]),
        ("train --recipe ow", ["own"]),
        ("compare --train-recipe ow", ["own"]),
        ("cache build --recipe aug", ["augment"]),
        ("config show views/aug", ["views/augment"]),
        ("config list stu", ["students"]),
        ("cache build --teacher flo", ["florence"]),
        ("cache build --teacher run:w", ["run:whole"]),
    ],
)
def test_tab_offers_what_is_there(words, offered, here):
    assert completed(words, here) == offered


def test_tab_answers_at_once(here):
    """Seconds of a usual core, the start of Python included: how long it waits for one that others use says nothing about kd."""
    best, limit = float("inf"), 0.4 * slowness()
    for _ in range(20):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert completed("eval ", here)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if best < limit:
            return
    pytest.fail(f"completion takes {best:.2f} s, more than {limit:.2f}")


def test_tab_offers_nothing_where_nothing_is(tmp_path):
    assert completed("cache info ", tmp_path) == []
