"""A training scans each set of images once and opens its cache once: also one that goes on, and one judged on its own images."""

from collections import Counter

import pytest

from kdcache.images.few import Few
from kdcache.images.shapes import Shapes
from kdcache.store import Store
from tests.students.conftest import learn


@pytest.fixture
def counts(monkeypatch):
    """How often each set of images was scanned, by its name, and how often a cache was opened."""
    found = Counter()
    opened = vars(Store)["open"].__func__

    def watch(kind):
        scan = kind.scan

        def counted(self):
            found[f"{self.name} {self.spec().get('split', '')}".strip()] += 1
            return scan(self)

        monkeypatch.setattr(kind, "scan", counted)

    def open_counted(cls, where):
        found["cache"] += 1
        return opened(cls, where)

    watch(Shapes)
    watch(Few)
    monkeypatch.setattr(Store, "open", classmethod(open_counted))
    return found


VAL = "shapes:count=16,size=32,split=val"


def test_a_new_training_and_one_that_goes_on(cache, tmp_path, counts):
    learn(tmp_path / "run", cache, val=VAL, steps=2, where={"stop_at": 1}, keep_every=1, validate_every=1)
    assert sorted(counts.values()) == [1, 1, 1], counts
    counts.clear()
    learn(tmp_path / "run", resume=True)
    assert sorted(counts.values()) == [1, 1, 1], counts


def test_a_task_that_compares_with_the_training_images_scans_them_no_second_time(cache, tmp_path, counts):
    knn = ("judge.task=knn", "judge.bank=16")
    learn(tmp_path / "run", cache, val=VAL, steps=1, settings=knn, validate_every=1)
    assert sorted(counts.values()) == [1, 1, 1], counts
