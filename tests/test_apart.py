"""Work in a process of its own: what it says and refuses comes back, nothing else gets in, and it does not outlive who asked."""

import os
import subprocess
import sys
import time

import pytest

from kdcache.base.own_process import Ended, run_module
from kdcache.errors import StorageError

WORKER = """
import os, sys, time
from kdcache.base.own_process import serve, send
from kdcache.errors import StorageError

def work(task):
    if task == "full":
        raise StorageError("no space", hint="make some")
    if task == "send":
        for number in range(3):
            send({"step": number, "word": "é"})
    if task == "die":
        sys.exit("gone")
    if task == "sleep":
        open("pid", "w").write(str(os.getpid()))
        time.sleep(60)
    return {"heard": task}

if __name__ == "__main__":
    serve(work)
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module that answers, on the path of this process."""
    (tmp_path / "on_path").mkdir()
    (tmp_path / "on_path" / "answering.py").write_text(WORKER)
    monkeypatch.syspath_prepend(str(tmp_path / "on_path"))
    monkeypatch.chdir(tmp_path)
    return "answering"


def test_an_answer_comes_back(module):
    assert run_module(module, [1, "é"]) == {"heard": [1, "é"]}


def test_what_is_told_on_the_way_is_heard_as_it_comes(module):
    received = []
    assert run_module(module, "send", received.append) == {"heard": "send"}
    assert received == [{"step": number, "word": "é"} for number in range(3)]
    assert run_module(module, "send") == {"heard": "send"}, "nobody need listen"


def test_a_refusal_is_raised_here_as_it_was_there(module):
    with pytest.raises(StorageError, match="no space") as error:
        run_module(module, "full")
    assert error.value.hint == "make some"


def test_one_that_ends_without_an_answer_says_what_it_said(module):
    with pytest.raises(Ended) as error:
        run_module(module, "die")
    assert (error.value.code, error.value.stderr.strip()) == (1, "gone")


def test_a_file_in_the_current_folder_stands_in_for_nothing(module, tmp_path):
    (tmp_path / "json.py").write_text("raise SystemExit(3)")
    assert run_module(module, 1) == {"heard": 1}


def test_it_ends_with_the_process_that_asked(module, tmp_path):
    code = (
        "import sys; sys.path.insert(0, 'on_path'); from kdcache.base.own_process import run_module; "
        f"run_module({module!r}, 'sleep')"
    )
    path = os.pathsep.join(sys.path)
    with subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}) as asking:
        deadline = time.monotonic() + 30
        while not (tmp_path / "pid").is_file() or not (tmp_path / "pid").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        asking.kill()
    asked = int((tmp_path / "pid").read_text())
    while _alive(asked):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _alive(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
