"""A cache that an early release planned is gone on with as it was planned, however it is asked for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kdcache.base.progress import Silent
from kdcache.build.prepare import Prepared, prepare
from kdcache.build.resume import prepare_again
from kdcache.build.run import build
from kdcache.cache import Cache
from kdcache.check.sampling import VerifyOptions
from kdcache.check.verify import verify
from kdcache.images import open_source
from kdcache.reshape.convert import convert
from kdcache.reshape.more_views import add_views
from kdcache.store import Store, choose_layout
from kdcache.store.plan import Dataset
from tests.build.conftest import options
from tests.build.test_build import content

pytestmark = pytest.mark.usefixtures("listener")
OLD_CLASSES, CLASSES = ("apple pie", "apple-tart", "apple"), ("apple", "apple pie", "apple-tart")


@pytest.fixture
def apples(tmp_path: Path) -> Path:
    """A folder whose classes have another order now."""
    noise = np.random.default_rng(0)
    for row in range(40):
        path = tmp_path / "images" / CLASSES[row % 3] / f"{row:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise.integers(0, 255, (20, 24, 3), np.uint8)).save(path)
    return tmp_path / "images"


def as_planned_early(images: Path, out: Path, **changes: object) -> Prepared:
    """A build as the first release would have planned it."""
    ready = prepare(options(images, **changes), out)
    source = open_source({"kind": "folder", "path": str(images)})
    listing = source.scan()
    plan = ready.plan
    layout = choose_layout(
        [field for codec in plan.codecs().values() for field in codec.fields()],
        rows=len(listing),
        batch=plan.batch,
        backend=plan.layout.backend,
        max_rows=16,
        self_describing=False,
    )
    plan = plan.model_copy(update={"dataset": Dataset.of(source, listing), "layout": layout})
    return replace(ready, plan=plan, source=source, listing=listing)


@pytest.fixture
def half(apples: Path, tmp_path: Path) -> Path:
    """Half of such a cache, where a build would put it by itself."""
    out = tmp_path / "kd" / "caches" / "listener-nano-images"
    build(as_planned_early(apples, out), only=(1, 2), progress=Silent())
    return out


@pytest.fixture
def whole(apples: Path, tmp_path: Path) -> Path:
    """All of it, built at once."""
    build(as_planned_early(apples, tmp_path / "whole"), progress=Silent())
    return tmp_path / "whole"


@pytest.mark.parametrize("way", ["from its plan", "images given anew", "the same command", "without a name"])
def test_it_is_gone_on_with(apples: Path, half: Path, whole: Path, tmp_path: Path, monkeypatch, way: str) -> None:
    monkeypatch.chdir(tmp_path)
    if way == "images given anew":
        moved = apples.rename(tmp_path / "moved")
        ready = prepare_again(half, options(moved))
    elif way == "from its plan":
        ready = prepare_again(half, replace(options(apples), data=None))
    else:
        ready = prepare(options(apples), half if way == "the same command" else None)
    assert ready.out.resolve() == half
    assert build(ready, progress=Silent()).complete
    assert content(half) == content(whole)
    assert Cache.open(half).classes == OLD_CLASSES


def test_new_ones_are_planned_in_the_new_order_beside_it(apples: Path, half: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    ready = prepare(options(apples, seed=7), None)
    assert ready.out.name == "listener-nano-images-2"
    assert ready.plan.dataset.classes == CLASSES
    assert ready.plan.dataset.source["order"] == "names"
    assert ready.plan.layout.self_describing


def test_its_views_are_replayed_with_images_given_anew(apples: Path, whole: Path, tmp_path: Path) -> None:
    moved = apples.rename(tmp_path / "moved")
    report = verify(whole, VerifyOptions(replay=40, data=str(moved)), Silent())
    assert report.ok
    assert report.replayed == 40


def test_more_views_of_it_are_like_the_first(apples: Path, tmp_path: Path) -> None:
    out = tmp_path / "c"
    build(as_planned_early(apples, out, recipe="augment"), progress=Silent())
    identity = Store.open(out).identity
    assert add_views(out, 1).identity == identity
    assert build(prepare_again(out, options(apples)), progress=Silent()).complete
    assert "valid" not in Store.open(out).map_part(Store.open(out).plan.parts()[-1])
    assert verify(out, VerifyOptions(replay=80), Silent()).ok


@pytest.mark.parametrize("early", [True, False])
def test_a_converted_cache_says_as_much_as_the_one_it_was_made_from(apples: Path, tmp_path: Path, early: bool) -> None:
    (apples / "apple" / "000.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    ready = as_planned_early(apples, tmp_path / "c") if early else prepare(options(apples), tmp_path / "c")
    build(ready, progress=Silent())
    convert(tmp_path / "c", tmp_path / "z", backend="zarr", progress=Silent())
    store = Store.open(tmp_path / "z")
    assert store.plan.layout.self_describing == (not early)
    assert len(store.bad_rows()) == 1
    if not early:
        valid = np.concatenate([store.map_part(part)["valid"].whole() for part in store.plan.parts()])
        assert set(np.flatnonzero(~valid).tolist()) == set(store.bad_rows())
    assert not [finding for part in store.plan.parts() for finding in store.verify_part(part)]
