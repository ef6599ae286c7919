"""Caches and runs from strangers: a KDError, or what was planned, whatever was written into them. `make fuzz` is the long form.

Thirty seconds of it, and the cases that once failed. A failure prints the command that replays its case.
"""

import os
import random
import time
from pathlib import Path

import pytest

from tests.fuzz.all import STRATEGIES
from tests.fuzz.case import Case
from tests.fuzz.misbehave import WAYS
from tests.fuzz.search import cases_until
from tests.fuzz.watch import Watch, command, wrong

ONCE = [Case.read(line) for line in Path(__file__).with_name("regressions.jsonl").read_text().splitlines()]
SECONDS = 30


@pytest.fixture(scope="module")
def watch():
    with Watch() as watch:
        yield watch


@pytest.fixture(scope="module")
def impatient():
    with Watch(seconds=1) as watch:
        yield watch


def failures(watch: Watch, case: Case) -> list[str]:
    return [f"{line}\n    {command(case)}" for line in wrong(watch.run(case))]


def test_the_goldens_themselves_are_read(watch):
    for golden in ("caches/hdf5", "caches/zarr-blosc", "caches/dense"):
        ends = watch.run(Case("plan", golden, "plan.json"))
        assert not wrong(ends)
        assert [ends[name][0] for name in ("open", "get", "stream", "verify", "repair")] == ["ok"] * 5


def test_what_once_failed_fails_no_more(watch):
    assert not [line for case in ONCE for line in failures(watch, case)]


@pytest.mark.slow
def test_thirty_seconds_find_nothing_but_kd_errors(watch):
    first = 0 if os.environ.get("CI") else random.randrange(1 << 30)
    end = time.monotonic() + SECONDS
    assert not [
        line for case in cases_until(end, first, sorted(STRATEGIES), together=3) for line in failures(watch, case)
    ]


@pytest.mark.parametrize("how", sorted(WAYS))
def test_what_must_not_happen_would_be_noticed(how, watch, impatient):
    """A hang of either kind, memory, a signal, files elsewhere, other rows, another exception."""
    case = Case("misbehave", "caches/plain", "", ({"how": how},))
    ends = (impatient if how in ("hang", "wait") else watch).run(case)
    kinds = {"hang": "hang", "wait": "hang", "grow": "memory", "crash": "signal", "alter": "unsound", "fail": "bug"}
    assert [end for end, _ in ends.values() if end != "ok"] == [kinds.get(how, "outside")], ends
