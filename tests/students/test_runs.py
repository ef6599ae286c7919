"""Where a run gets its folder."""

from pathlib import Path

import pytest

from kdcache.errors import UsageError
from students.start import create
from tests.students.trained import make_run


@pytest.fixture
def record(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return make_run(tmp_path / "before").record


def test_another_run_of_a_name_gets_a_number(record):
    assert [create(None, record).path for _ in range(3)] == [
        Path("kd/runs/tinyvit-5m-shapes"), Path("kd/runs/tinyvit-5m-shapes-2"), Path("kd/runs/tinyvit-5m-shapes-3"),
    ]  # fmt: skip


def test_where_no_run_can_be_none_is_sought_for_ever(record):
    Path("kd").touch()
    with pytest.raises(UsageError, match="cannot make kd/runs/tinyvit-5m-shapes: "):
        create(None, record)


def test_a_name_that_is_too_long_is_refused(record):
    long = record.dataset.model_copy(update={"name": "x" * 255})
    with pytest.raises(UsageError, match="File name too long"):
        create(None, record.model_copy(update={"dataset": long}))
