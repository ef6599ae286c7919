"""`kd bench read` prints tables for people and one document for scripts."""

import pytest

WORDS = ["bench", "read", "--scale", "0.001", "--repeats", "1", "--warm-only", "--workload", "W3"]


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    """One epoch a reader is enough to see the shape of the answer."""
    from kdcache.bench import read

    monkeypatch.setattr(read, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(read, "MOST_SECONDS", 0.05)


def test_it_compares_us_with_the_others_and_leaves_nothing_behind(kd, tmp_path):
    ran = kd(*WORDS, "--dir", tmp_path, "--json")
    assert ran.code == 0
    (workload,) = ran.json["workloads"]
    kinds = {rate["kind"] for rate in workload["warm"] if rate["rows_per_second"]}
    assert "ours" in kinds
    assert len(kinds) > 1
    assert {goal["workload"] for goal in ran.json["goals"]} == {"W3"}
    assert not any(tmp_path.iterdir())


def test_people_get_tables(kd):
    ran = kd(*WORDS)
    assert ran.code == 0
    assert "np.memmap" in ran.out
    assert "goals" in ran.out
    assert "\x1b" not in ran.out


def test_an_unknown_workload_is_named(kd):
    ran = kd("bench", "read", "--workload", "W9")
    assert ran.code == 2
    assert "'W9'" in ran.err
