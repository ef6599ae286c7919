"""Plans made by a stranger, all digests right: no number in them is believed beyond the limits, and nobody crashes."""

import os
from pathlib import Path
from typing import Any

import pytest

from kdcache import Cache
from kdcache.base import limits
from kdcache.base.progress import Silent
from kdcache.check.repair import repair
from kdcache.check.sampling import VerifyOptions
from kdcache.check.verify import verify
from kdcache.errors import Damage, KDError, Mismatch, UsageError
from kdcache.reshape.more_views import add_views
from kdcache.signals.signal import Signal
from kdcache.store import Store
from kdcache.store.plan import PartId
from tests.store.crafted import PART, adopt_plan, write_plan
from tests.store.making import Made, make_plan

pytestmark = pytest.mark.timeout(60)


def _with(plan: Any, way: str, value: Any) -> Any:
    """A copy of a record with one value changed and nothing checked."""
    key, _, rest = way.partition(".")
    old = getattr(plan, key)
    return plan.model_copy(update={key: _with(old, rest, value) if rest else value})


PLANS: dict[str, list[Any]] = {
    "dataset.rows": [1 << 62, limits.ROWS + 1, 0, -1],
    "views.count": [10**9, limits.VIEWS + 1, 0, -1],
    "layout.rows_per_part": [0, -1, 1 << 62],
    "batch": [0, -1, 1 << 30],
    "layout.block_rows": [{}, {"logits": 0, "embedding": 4, "features": 4, "view_digest": 4}, {"logits": 3}],
    "layout.compression": ["zstd:99", "gzip:1", "zstd:" + "9" * 5000],
    "teacher.preprocess.size": [(0, 8), (8, 1 << 40)],
    "teacher.preprocess.mean": [(float("nan"), 0.5, 0.5)],
}


@pytest.mark.parametrize(("way", "value"), [(way, value) for way, values in PLANS.items() for value in values], ids=str)
def test_a_plan_beyond_the_limits_is_refused_in_a_line(tmp_path: Path, way: str, value: Any) -> None:
    cache = tmp_path / "cache"
    Store.create(cache, make_plan(), _listing())
    plan = _with(Store.open(cache).plan, way, value)
    write_plan(cache, plan)
    for act in (
        lambda: Store.open(cache),
        lambda: verify(cache, VerifyOptions(), Silent()),
        lambda: Cache.open(cache).stream(),
    ):
        with pytest.raises(Mismatch) as caught:
            act()
        assert len(caught.value.message) < 600
        assert "identity" not in caught.value.message
    if way != "layout.block_rows" or value != {"logits": 3}:
        with pytest.raises(UsageError):
            Store.create(tmp_path / "new", plan, _listing())
        assert not (tmp_path / "new").exists()


def test_a_number_that_no_type_holds_is_damage(tmp_path: Path) -> None:
    Store.create(tmp_path / "c", make_plan(), _listing())
    write_plan(tmp_path / "c", _with(Store.open(tmp_path / "c").plan, "dataset.rows", 10**60))
    with pytest.raises(Damage, match="does not fit into 64 bits"):
        Store.open(tmp_path / "c")


SHAPES = [(0,), (-1,), (1 << 62, 4), (), (1,) * 9, (1 << 40,)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_shape_that_is_none_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    cache = tmp_path / "cache"
    Store.create(cache, make_plan(), _listing())
    plan = Store.open(cache).plan
    signals = tuple(
        s.model_copy(update={"signal": s.signal.model_copy(update={"shape": shape})}) for s in plan.signals[1:2]
    )
    teacher = plan.teacher.model_copy(update={"signals": (signals[0].signal,)})
    record = plan.model_copy(update={"signals": signals, "teacher": teacher}).plain()
    write_plan(cache, plan, signals=record["signals"], teacher=record["teacher"])
    with pytest.raises(Mismatch, match=r"shape|numbers a row"):
        Store.open(cache)


@pytest.mark.parametrize("codec", ["topk:41", "topk:" + "9" * 5000, "float32"])
def test_a_codec_that_is_none_for_its_signal_is_refused(tmp_path: Path, codec: str) -> None:
    cache = tmp_path / "cache"
    Store.create(cache, make_plan(), _listing())
    plan = Store.open(cache).plan
    first = plan.signals[0].model_copy(update={"codec": codec} if codec != "float32" else {"via": ("int8",) * 17})
    write_plan(cache, plan.model_copy(update={"signals": (first, *plan.signals[1:])}))
    with pytest.raises(Mismatch):
        Store.open(cache)


def test_two_arrays_of_one_name_are_refused(tmp_path: Path) -> None:
    signals = ((Signal(name="a", shape=(4,)), "int8"), (Signal(name="a_scale", shape=(4,)), "float32"))
    with pytest.raises(UsageError, match="two arrays are called 'a_scale'"):
        Store.create(tmp_path / "c", make_plan(signals=signals), _listing())
    taken = ((Signal(name="view_digest", shape=(4,)), "float32"),)
    with pytest.raises(UsageError, match="two arrays are called 'view_digest'"):
        Store.create(tmp_path / "c", make_plan(signals=taken), _listing())


def test_a_plan_of_very_many_parts_costs_what_is_there(cache: Path) -> None:
    """The largest there may be: looking at it takes as long as at the two views that exist."""
    plan = Store.open(cache).plan
    count = min(limits.VIEWS, limits.PARTS // plan.parts_per_view)
    adopt_plan(cache, _with(plan, "views.count", count))
    store = Store.open(cache)
    assert len(store.plan.parts()) == count * plan.parts_per_view
    assert store.plan.parts()[-1] == PartId(count - 1, plan.parts_per_view - 1)
    report = verify(cache, VerifyOptions(), Silent())
    assert (report.ok, report.parts) == (True, 2 * plan.parts_per_view)
    assert report.missing == (count - 2) * plan.parts_per_view
    assert len(store.built()) == 2 * plan.parts_per_view
    with pytest.raises(UsageError, match=r"views\.count is 100,001, not 1 to 100,000"):
        store.plan_views(limits.VIEWS + 1)
    assert repair(cache, apply=False, progress=Silent()).parts == ()


def test_views_beyond_the_limit_are_not_planned(tmp_path: Path) -> None:
    from kdcache.views.recipe import Augment, Crop

    augment = Augment(crop=Crop(scale=(0.5, 1.0), ratio=(0.7, 1.4), interpolation="bilinear"), flip=0.5)
    Store.create(tmp_path / "c", _with(make_plan(), "views.recipe", augment), _listing())
    with pytest.raises(UsageError, match="more than 100,000"):
        add_views(tmp_path / "c", 10**9)
    assert Store.open(tmp_path / "c").plan.views.count == 2


def test_a_record_that_is_too_large_is_not_read(cache: Path) -> None:
    for name in ("plan.json", "parts/v000/000001.json"):
        raw = (cache / name).read_bytes()
        os.truncate(cache / name, limits.RECORD_BYTES + 1)
        with pytest.raises(Damage, match="at most"):
            Store.open(cache).receipt(PART)
        (cache / name).write_bytes(raw)


def _listing() -> Any:
    from tests.store.making import make_listing

    return make_listing()


def test_what_is_sound_passes(made: Made) -> None:
    """Every kind of cache that is made today is one that all of this lets through."""
    assert verify(made.store.path, VerifyOptions(), Silent()).ok
    assert len(list(Cache.open(made.store.path).stream(8))) > 0
    assert isinstance(made.store.index.row_of("img/1/ü00050.jpg"), int)
    assert not issubclass(KDError, UsageError)
