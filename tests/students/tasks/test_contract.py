"""Every task of this repository keeps what every task promises."""

from typing import ClassVar

import pytest

from kdcache.images import open_source
from students.judging.registry import TASKS
from students.testing.tasks import TaskContract


class TestClassify(TaskContract):
    task = TASKS.get("classify")


class TestRetrieve(TaskContract):
    task = TASKS.get("retrieve")


class TestKnn(TaskContract):
    task = TASKS.get("knn")
    given: ClassVar = {"bank": "shapes:count=100,size=32"}


class TestProbe(TaskContract):
    task = TASKS.get("probe")


class TestFewShot(TaskContract):
    task = TASKS.get("few-shot")
    given: ClassVar = {"way": 3, "shots": [1], "queries": 1, "episodes": 4, "epochs": 2}

    def images(self):
        """Of half of the classes there are two."""
        return open_source("shapes:split=val,count=150,size=32")


def test_every_task_there_is_stands_here():
    tested = {each.task.name for each in TaskContract.__subclasses__()}
    assert tested == set(TASKS.names())


@pytest.mark.parametrize("name", TASKS.names())
def test_a_task_is_called_as_its_file_is(name):
    assert TASKS.get(name).name == name
