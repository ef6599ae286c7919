"""Which run a plan's teacher is: known by its weights, and looked for under plain names only."""

import os
from pathlib import Path

import pytest

from kdcache.base.digest import file_sha256
from kdcache.errors import Unavailable
from kdcache.signals.teacher import Weights
from students.runs.find_teacher import find_teacher
from students.runs.run import WEIGHTS
from tests.students.trained import make_run

RECORD = "run.json"


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The run.json of a run that can be opened."""
    return (make_run(tmp_path_factory.mktemp("runs") / "r").path / RECORD).read_bytes()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in another one."""
    folder = tmp_path / "above" / "here"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def put(path: Path, record: bytes, weights: bytes) -> Weights:
    """A run with these weights, and what a plan that does not know where it lay says of it."""
    path.mkdir(parents=True, exist_ok=True)
    (path / RECORD).write_bytes(record)
    (path / WEIGHTS).write_bytes(weights)
    return Weights(source="run:gone", sha256=file_sha256(path / WEIGHTS))


def test_a_run_that_was_renamed_is_known_by_its_weights(here: Path, record: bytes) -> None:
    """It is neither the first nor the last in ./kd/runs."""
    for name in ("a", "c"):
        put(here / "kd/runs" / name, record, name.encode())
    planned = put(here / "kd/runs/b", record, b"b")
    assert find_teacher("gone", None, planned).path.name == "b"


def test_of_two_runs_of_its_name_the_one_with_its_weights_is_taken(here: Path, record: bytes) -> None:
    put(here / "r", record, b"other")
    planned = put(here / "kd/runs/r", record, b"its")
    assert find_teacher("r", None, planned.model_copy(update={"source": "run:r"})).path == Path("kd/runs/r")


@pytest.mark.parametrize("name", ["..", ".", "", "/", "../elsewhere", "ABSOLUTE", "kd/runs/.."])
@pytest.mark.parametrize("its", [True, False], ids=["its weights", "other weights"])
def test_no_name_in_a_plan_leads_elsewhere(
    here: Path, record: bytes, name: str, its: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even to the very run, and nothing there is looked at."""
    places = [here, here.parent, here.parent / "elsewhere", here / "kd"]
    [*_, planned] = [put(place, record, b"its") for place in places]
    name = str(here.parent / "elsewhere") if name == "ABSOLUTE" else name
    looked: list[str] = []
    monkeypatch.setattr(
        "students.runs.find_teacher.isfile", lambda path: looked.append(str(path)) or os.path.isfile(path)
    )
    weights = {"source": f"run:{name}"} | ({} if its else {"sha256": "0" * 64})
    with pytest.raises(Unavailable, match=r"is not in \./kd/runs"):
        find_teacher(name, None, planned.model_copy(update=weights))
    assert not looked
