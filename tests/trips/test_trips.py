"""The counting itself, on a package made up here: wherever its classes stand, and however its processes end."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.trips.column import children, entered, figures
from tests.trips.page import page

HOOK = Path(__file__).parent / "hook"
SHELVES = """
class Store:
    @classmethod
    def open(cls, path):
        open(path + "/plan.json").close()
        return cls()

class Cache:
    @staticmethod
    def open(path):
        return Store.open(path)
"""
PICTURES = """
class Few:
    def __init__(self, of):
        self.of = of
    def scan(self):
        return self.of.scan()

class All:
    def scan(self):
        return []
"""
JOB = """
import os, subprocess, sys, threading
from made_up.deep.pictures import All, Few
from made_up.shelves import Cache, Store

def work():
    Few(All()).scan()
    Cache.open(sys.argv[1])

if len(sys.argv) == 2:
    open(sys.argv[1] + "/plan.json").close()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    subprocess.run([sys.executable, "-m", "made_up.job", sys.argv[1], "child"], check=True)
else:
    work()
    Store.open(sys.argv[1])
    os._exit(0)
"""


@pytest.fixture
def noted(tmp_path: Path) -> list[dict[str, Any]]:
    """What the hook noted of a command with one child."""
    package = tmp_path / "made_up"
    (package / "deep").mkdir(parents=True)
    (package / "shelves.py").write_text(SHELVES)
    (package / "deep" / "pictures.py").write_text(PICTURES)
    (package / "job.py").write_text(JOB)
    (tmp_path / "plan.json").write_text("{}")
    log = tmp_path / "log"
    env = os.environ | {
        "PYTHONPATH": f"{HOOK}{os.pathsep}{tmp_path}",
        "TRIPS_LOG": str(log),
        "TRIPS_ROOT": str(tmp_path),
        "TRIPS_PACKAGES": "made_up",
        "TRIPS_FIRST": "1",
    }
    subprocess.run([sys.executable, "-m", "made_up.job", str(tmp_path)], env=env, check=True)
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_everything_is_counted_once_and_where_it_happened(noted):
    found = figures(noted, [2.0, 9.0, 1.0], [3.0, 4.0, 5.0])
    assert found == {
        "files with a function entered": 3,
        "files imported": 2,
        "torch imported": "no",
        "child processes": 1,
        "scans of a source, in it": 1,
        "scans of a source, in children": 1,
        "openings of a cache, in it": 1,
        "openings of a cache, in children": 2,
        "plan.json opened to be read, in it": 2,
        "plan.json opened to be read, in children": 2,
        "seconds, median": 2.0,
        "seconds of a core, median": 4.0,
    }
    assert children(noted) == {"python -m made_up.job": 1}
    assert entered(noted) == ["made_up/deep/pictures.py", "made_up/job.py", "made_up/shelves.py"]


def test_a_way_is_told_from_the_nearest_line_on(noted):
    scans = [one for one in noted if one["kind"] == "scan" and one["first"]]
    assert [(one["what"], one["inner"]) for one in scans] == [("Few", False), ("All", True)]
    assert scans[1]["sites"] == ["made_up/deep/pictures.py:6 Few.scan", "made_up/job.py:7 work"]
    plain = [one["sites"] for one in noted if one["kind"] == "plan" and not one["inner"]]
    assert plain == [["made_up/job.py:11 <module>"]]


def test_columns_stand_beside_each_other_though_rows_and_commands_change():
    one = {"figures": {"scans": 3, "old": 1}, "children": {}, "origins": []}
    two = {"figures": {"scans": 1, "new": 2}, "children": {}, "origins": []}
    head = {"command": "make trips", "machine": "one", "load": 0.0, "rounds": 3}
    text = page(
        {"before": {**head, "commands": {"kd a": one}}, "after": {**head, "commands": {"kd a": two, "kd b": two}}}
    )
    assert "|  | before | after |\n| --- | ---: | ---: |\n| scans | 3 | 1 |\n| old | 1 | – |\n| new | – | 2 |" in text
    assert "## `kd b`\n\n|  | after |" in text
