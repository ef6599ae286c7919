"""Caches that do not belong together are refused, both named, with a way out."""

from pathlib import Path
from typing import Any

import pytest

from kdcache import Cache
from kdcache.errors import Mismatch, UsageError
from kdcache.images.source import Listing
from kdcache.signals.signal import Signal
from kdcache.store import Store
from kdcache.stream import UnknownSignal, join
from kdcache.views.recipe import Augment, Crop, Mix, Plain
from tests.store.making import Made, fill, make_cache, make_listing, make_plan
from tests.stream.joining import TOKENS, make, opened, shuffled

MIXED = Augment(
    crop=Crop(scale=(0.5, 1.0), ratio=(1.0, 1.0), interpolation="bilinear"),
    flip=0.5,
    mix=Mix(probability=1.0, mixup_alpha=0.8, cutmix_alpha=0.0, switch=0.0),
)


def drawn(seed: int, recipe: Augment) -> dict[str, Any]:
    return {"recipe": recipe, "seed": seed}


def with_views(path: Path, listing: Listing, *, count: int = 2, signals=TOKENS, **views: Any) -> Cache:
    plan = make_plan(listing=listing, views=count, signals=signals)
    plan = plan.model_copy(update={"views": plan.views.model_copy(update=views)})
    store = Store.create(path, plan, listing)
    fill(store, {})
    return Cache.open(path)


LISTING = make_listing()
FEWER = Listing(LISTING.ids.slice(0, 89), LISTING.labels[:89], LISTING.classes, "fewer")
OTHERS = make_listing(prefix="pic")
RESIZED = Listing(LISTING.ids, LISTING.labels, LISTING.classes, "resized")
UNMIXED = MIXED.model_copy(update={"mix": None})


@pytest.mark.parametrize(
    ("ours", "listing", "theirs", "message"),
    [
        (
            {},
            FEWER,
            {},
            r"two has other images than .*one: .*one has 'img/5/ü00089.jpg', .*two does not \(90 images there, 89",
        ),
        ({}, OTHERS, {}, r"one has 'img/0/ü00000.jpg', .*two does not"),
        (
            {},
            RESIZED,
            {},
            r"two has images with the same ids as .*one, but other files: fingerprint is .* there, resized here",
        ),
        ({}, LISTING, {"recipe": Plain(fit="pad")}, r"two has other views than .*one: fit is 'crop' there, 'pad' here"),
        (drawn(1, UNMIXED), LISTING, drawn(2, UNMIXED), r"two has other views than .*one: seed is 1 there, 2 here"),
        (
            drawn(1, MIXED),
            shuffled(LISTING),
            drawn(1, MIXED),
            r"CutMix and MixUp partners depend on the row order, which differs",
        ),
        ({}, LISTING, {"count": 3}, r"one has 2 views, .*two has 3"),
    ],
    ids=["fewer", "others", "resized", "recipe", "seed", "partners", "count"],
)
def test_caches_that_do_not_belong_together_are_refused(tmp_path, ours, listing, theirs, message) -> None:
    signals = ((Signal(name="embedding", shape=(12,)), "float32"),)
    one = with_views(tmp_path / "one", LISTING, signals=signals, **ours)
    two = with_views(tmp_path / "two", listing, **theirs)
    with pytest.raises(Mismatch, match=message) as caught:
        join([one, two]).stream(8)
    assert caught.value.exit_code == 6
    assert caught.value.hint


@pytest.mark.parametrize(
    ("ours", "listing", "theirs"),
    [
        (drawn(1, UNMIXED), shuffled(LISTING), drawn(1, UNMIXED)),
        ({"seed": 1}, LISTING, {"seed": 2}),
        (drawn(1, MIXED), LISTING, drawn(1, MIXED)),
    ],
    ids=["views drawn by id", "a seed that draws nothing", "partners of the same rows"],
)
def test_views_that_are_the_same_are_joined(tmp_path, ours, listing, theirs) -> None:
    signals = ((Signal(name="embedding", shape=(12,)), "float32"),)
    one = with_views(tmp_path / "one", LISTING, signals=signals, **ours)
    two = with_views(tmp_path / "two", listing, **theirs)
    assert sum(len(batch) for batch in join([one, two]).stream(8)) == 90


def test_teachers_may_have_seen_the_images_each_in_its_own_way(untouched: Made, tmp_path: Path) -> None:
    padded = with_views(tmp_path / "padded", LISTING, recipe=Plain(fit="pad"))
    joined = join([*opened(untouched), padded], same_views=False)
    assert sum(len(batch) for batch in joined.stream(8)) == 88


def test_views_that_both_have_can_be_named(untouched: Made, tmp_path: Path) -> None:
    three = with_views(tmp_path / "three", LISTING, count=3)
    joined = join([*opened(untouched), three])
    assert [joined.stream(8, views=[0, 1], epoch=epoch).view for epoch in range(3)] == [0, 1, 0]
    with pytest.raises(UsageError, match="no view 2 in"):
        joined.stream(8, views=[2])


def test_a_view_that_is_not_finished_is_refused(plain: Made, other: Made) -> None:
    plain.store.drop_part(plain.store.plan.parts()[-1])
    joined = join(opened(other, plain))
    with pytest.raises(Mismatch, match=r"view 1 of .*plain is not finished \(1 parts are missing\), .* of .*other"):
        joined.stream(8)
    assert sum(len(batch) for batch in joined.stream(8, views=[0])) == 86


def test_signals_of_one_name_need_names_of_their_caches(untouched: Made, tmp_path: Path) -> None:
    twin = make_cache(tmp_path / "twin", make_plan())
    with pytest.raises(UsageError, match=r"plain and .*twin both have a signal called 'logits'") as caught:
        join(opened(untouched, twin))
    assert "join({" in caught.value.hint
    joined = join(dict(zip(("x", "y"), opened(untouched, twin), strict=True)))
    assert list(joined.signals)[:2] == ["x.logits", "y.logits"]
    with pytest.raises(UnknownSignal, match="no signal 'logits' in the caches that are joined"):
        joined.stream(8, signals=["logits"])
    with pytest.raises(UsageError, match="no caches"):
        join([])


def test_addresses_that_would_be_the_same_are_refused(untouched: Made, tmp_path: Path) -> None:
    dotted = make(tmp_path / "d", signals=((Signal(name="a.logits", shape=(2,)), "float32"),))
    twin = make_cache(tmp_path / "twin", make_plan())
    with pytest.raises(UsageError, match=r"would both be called 'a\.logits'"):
        join(dict(zip(("a", "b", "c"), opened(untouched, twin, dotted), strict=True)))
