"""SECURITY.md tells the limits that the code has, and caches far larger than any keep within them."""

import re
from pathlib import Path

from kdcache.base import limits
from kdcache.signals.signal import Signal
from kdcache.store import choose_layout
from kdcache.store.bounds import unfit
from tests.store.making import make_plan

ROW = re.compile(r"\| .+ \| ([\d,]+) \| `([A-Z_]+)` \|")


def test_the_table_in_security_is_what_the_code_says() -> None:
    rows = ROW.findall((Path(__file__).parents[1] / "SECURITY.md").read_text("utf-8"))
    listed = {name: int(number.replace(",", "")) for number, name in rows}
    assert listed == {name: value for name, value in vars(limits).items() if name.isupper()}


def test_imagenet_22k_in_300_views_is_far_within_them() -> None:
    kinds = [("logits", (21_841,), "topk:100"), ("logits", (21_841,), "full"), ("features", (4800, 1024), "float32")]
    for name, shape, codec in kinds:
        plan = make_plan(signals=((Signal(name=name, shape=shape), codec),))
        rows, views = (14_197_122, 300) if name == "logits" else (100_000, 10)
        layout = choose_layout(plan.fields(), rows=rows, batch=256)
        large = plan.model_copy(
            update={
                "layout": layout,
                "batch": 256,
                "dataset": plan.dataset.model_copy(update={"rows": rows}),
                "views": plan.views.model_copy(update={"count": views}),
            }
        )
        assert unfit(large) is None
        assert len(large.parts()) * 2 < limits.PARTS
