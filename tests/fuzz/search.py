"""Draws cases, a few of each target in turn, until the time is up."""

import time
from collections.abc import Iterator, Sequence

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.all import STRATEGIES
from tests.fuzz.case import Case


def cases_until(end: float, first: int, targets: Sequence[str], *, together: int = 10) -> Iterator[Case]:
    """Cases until the monotonic clock shows `end`; the same first number gives the same ones."""
    number = first
    while True:
        for target in targets:
            for case in drawn(target, number, together):
                if time.monotonic() > end:
                    return
                yield case
        number += 1


def drawn(target: str, number: int, count: int) -> list[Case]:
    """Cases of a target."""
    cases: list[Case] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(STRATEGIES[target]())
    def collect(case: Case) -> None:
        cases.append(case)

    collect()
    return cases
