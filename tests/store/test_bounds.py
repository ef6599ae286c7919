"""Numbers and names of a plan that nobody could work with: each is refused for what is wrong with it."""

from typing import Any

import pytest

from kdcache.base import limits
from kdcache.signals.signal import Signal
from kdcache.store.bounds import unfit
from kdcache.store.plan import Plan
from tests.store.making import make_plan


def plan_of(name: str = "embedding", *, block: int = 1, part: int = 1 << 20, via: int = 0, row: int = 1 << 10) -> Plan:
    """A plan of one signal, in blocks and parts of so many rows of so many bytes."""
    plan = make_plan(signals=((Signal(name=name, shape=(row // 4,)), "float32"),))
    came = plan.signals[0].model_copy(update={"via": ("float32",) * via})
    rows: dict[str, Any] = {"rows_per_part": part, "block_rows": {**plan.layout.block_rows, name: block}}
    return plan.model_copy(update={"signals": (came,), "layout": plan.layout.model_copy(update=rows)})


def test_what_is_at_the_limits_is_let_through() -> None:
    assert unfit(plan_of(block=limits.BLOCK_BYTES >> 10, via=limits.CODECS)) is None
    assert unfit(plan_of(part=limits.PART_BYTES >> 11)) is None


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (
            plan_of(part=limits.PART_BYTES >> 10),
            "a part has 69,055,021,056 bytes of rows, at most 68,719,476,736 are read",
        ),
        (plan_of(block=limits.BLOCK_BYTES >> 9), "a block of embedding has 268,435,456 bytes, at most 134,217,728"),
        (plan_of(via=limits.CODECS + 1), "embedding came by 17 codecs, at most 16 are followed"),
        (plan_of("zarr.json"), "an array is called 'zarr.json', which is a file name of Zarr"),
    ],
    ids=["part", "block", "codecs", "name"],
)
def test_what_is_beyond_is_refused_for_that(plan: Plan, message: str) -> None:
    assert (unfit(plan) or "").startswith(message)
