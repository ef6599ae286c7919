"""Where a run gets its folder."""

from pathlib import Path

import pytest

from kdcache.errors import Locked, UsageError
from students.train.start import begun
from tests.students.trained import make_run


@pytest.fixture
def record(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return make_run(tmp_path / "before").record


def made(out, record):
    with begun(out, record) as run:
        run.write_record()
    return run


def test_another_run_of_a_name_gets_a_number(record):
    assert [made(None, record).path for _ in range(3)] == [
        Path("kd/runs/tinyvit-5m-shapes"), Path("kd/runs/tinyvit-5m-shapes-2"), Path("kd/runs/tinyvit-5m-shapes-3"),
    ]  # fmt: skip


def test_where_no_run_can_be_none_is_sought_for_ever(record):
    Path("kd").touch()
    with pytest.raises(UsageError, match="cannot make kd/runs/tinyvit-5m-shapes: "):
        made(None, record)


def test_a_name_that_is_too_long_is_cut(record):
    long = record.model_copy(update={"dataset": record.dataset.model_copy(update={"name": "x" * 255})})
    assert len(made(None, long).path.name) == 150
    assert made(None, long).path.name.endswith("x-2")


def test_a_name_under_which_no_run_came_about_is_taken_again(record):
    with begun(None, record) as first:
        pass
    assert made(None, record).path == first.path


def test_a_run_that_is_just_being_begun_has_its_name(record):
    with begun(None, record) as first:
        assert made(None, record).path == first.path.with_name(f"{first.path.name}-2")
    with begun(first.path, record), pytest.raises(Locked, match="is being trained by another process"):
        made(first.path, record)
