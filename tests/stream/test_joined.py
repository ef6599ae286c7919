"""Several caches of the same images are one stream, joined by image id."""

import gc
import pickle
import threading
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kdcache import Cache
from kdcache.codecs.distribution import TopK
from kdcache.errors import Mismatch, UsageError
from kdcache.images.source import Listing
from kdcache.signals.signal import Signal
from kdcache.store import Store
from kdcache.store.plan import Plan
from kdcache.stream import Examples, UnknownSignal, join
from kdcache.views.recipe import Augment, Crop, Mix, Plain
from tests.store.making import Made, fill, make_cache, make_listing, make_plan
from tests.stream.conftest import stored_row

SHUFFLES = ("full", "blocks", False)
TOKENS = ((Signal(name="tokens", shape=(6, 4), grid=(2, 3)), "int8"), (Signal(name="text", shape=(9,)), "float16"))


def shuffled(listing: Listing, seed: int = 1) -> Listing:
    """The same images in another order."""
    rows = np.random.default_rng(seed).permutation(len(listing))
    return Listing(listing.ids.take(rows), listing.labels[rows], listing.classes, "shuffled")


def make(path: Path, listing: Listing | None = None, bad: dict[int, str] | None = None, **plan: Any) -> Made:
    listing = listing or make_listing()
    store = Store.create(path, make_plan(listing=listing, **plan), listing)
    bad = bad or {}
    return Made(store, fill(store, bad), bad)


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Made:
    """Another teacher's cache of the same images: other rows, parts, backend, compression and bad images."""
    path = tmp_path_factory.mktemp("caches") / "other"
    changed: dict[str, Any] = {"backend": "zarr", "compression": "zstd:3", "target_bytes": 1500, "max_rows": 16}
    return make(path, shuffled(make_listing()), {0: "torn", 77: "gone"}, signals=TOKENS, **changed)


def opened(*made: Made) -> list[Cache]:
    return [Cache.open(each.store.path) for each in made]


def content(stream, field: str | None = None) -> list:
    return [
        (b.number, b.view, b.ids, b.rows.tolist(), b.labels.tolist(), {n: a.tobytes() for n, a in b.fields.items()})
        for b in stream
    ]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    shuffle=st.sampled_from(SHUFFLES),
    seed=st.integers(0, 3),
    epoch=st.integers(0, 3),
    batch=st.integers(1, 100),
    world=st.integers(1, 3),
    items=st.booleans(),
)
def test_a_cache_split_by_signals_and_joined_is_the_cache(made: Made, items: bool, **how) -> None:
    """Bit for bit, for every share of every epoch."""
    cache = Cache.open(made.store.path)
    joined = join({"a": cache, "b": Cache.open(made.store.path)})
    how["batch_size"] = how.pop("batch")
    how["examples"] = Examples.of_items(np.arange(90) % 4) if items else None
    for rank in range(how["world"]):
        whole = cache.stream(rank=rank, **how)
        split = joined.stream(rank=rank, signals=["a.embedding", "b.features", "b.logits"], **how)
        assert len(split) == len(whole)
        for one, both in zip(whole, split, strict=True):
            assert (both.number, both.view, both.ids) == (one.number, one.view, one.ids)
            for name in ("rows", "labels", "examples", "items"):
                assert np.array_equal(getattr(both, name), getattr(one, name)), name
            for address in ("a.embedding", "b.features", "b.logits"):
                assert both.fields[address].tobytes() == one.fields[address.partition(".")[2]].tobytes()
            values, expected = both.decode(), one.decode()
            assert np.array_equal(values["b.features"], expected["features"])
            assert isinstance(values["b.logits"], TopK)


def test_names_are_those_of_the_cache_where_only_one_has_them(untouched: Made, other: Made) -> None:
    joined = join(opened(untouched, other))
    assert list(joined.signals) == ["logits", "embedding", "features", "tokens", "text"]
    assert list(joined.codecs()) == list(joined.signals)
    batch = next(iter(joined.stream(5, signals=["text", "embedding"])))
    assert list(batch.fields) == list(batch.torch()) == list(batch.decode()) == ["text", "embedding"]
    codec, fields = batch.coded("text")
    assert np.array_equal(codec.decode(fields), batch.decode()["text"])
    named = join(dict(zip("ab", opened(untouched, other), strict=True)))
    assert list(named.signals) == list(joined.signals)


@pytest.mark.parametrize("shuffle", SHUFFLES)
@pytest.mark.parametrize("turned", [False, True])
def test_values_are_those_of_the_image_whatever_row_it_has(untouched: Made, other: Made, shuffle, turned: bool) -> None:
    pair = (other, untouched) if turned else (untouched, other)
    first, second = opened(*pair)
    unusable = {m.store.index.ids[row] for m in pair for row in m.bad}
    assert len(unusable) == 4
    seen = []
    for batch in join([first, second]).stream(7, shuffle=shuffle, epoch=1):
        assert batch.ids == [first.ids[row] for row in batch.rows.tolist()]
        assert batch.labels.tolist() == first.labels[batch.rows].tolist()
        for made in pair:
            names = {f.name for f in made.store.fields.values()} & set(batch.fields)
            assert names
            rows = [made.store.index.row_of(image_id) for image_id in batch.ids]
            for name in names:
                for row, stored in zip(rows, batch.fields[name], strict=True):
                    assert np.array_equal(stored, stored_row(made, 1, row, name)), (name, row)
        seen += batch.ids
    assert sorted(seen) == sorted(set(first.ids) - unusable)


def test_a_join_with_a_copy_in_another_order_gives_the_same_values(untouched: Made, other: Made) -> None:
    tokens = opened(other)[0]
    alone = {}
    for batch in tokens.stream(16):
        alone |= dict(zip(batch.ids, batch.decode()["tokens"], strict=True))
    for batch in join([*opened(untouched), tokens]).stream(9, signals=["tokens"]):
        for image_id, values in zip(batch.ids, batch.decode()["tokens"], strict=True):
            assert np.array_equal(values, alone[image_id])


@pytest.mark.parametrize("shuffle", ["full", "blocks"])
def test_a_joined_stream_resumes_and_is_shared_like_any(untouched: Made, other: Made, shuffle) -> None:
    joined = join(opened(untouched, other))
    whole = content(joined.stream(12, shuffle=shuffle, seed=3))
    for start in range(len(whole) + 1):
        assert content(joined.stream(12, shuffle=shuffle, seed=3, start=start)) == whole[start:]
    shares = [content(joined.stream(4, shuffle=shuffle, seed=3, rank=rank, world=3)) for rank in range(3)]
    rows = [list(chain.from_iterable(part[3] for part in parts)) for parts in zip(*shares, strict=True)]
    assert rows == [batch[3] for batch in whole]
    stream = joined.stream(12, shuffle=shuffle, seed=3)
    assert [stream.rows(number).tolist() for number in range(len(stream))] == [batch[3] for batch in whole]


def test_three_caches_and_items(untouched: Made, other: Made, tmp_path: Path) -> None:
    third = make(
        tmp_path / "third", shuffled(make_listing(), 9), signals=((Signal(name="more", shape=(2,)), "float32"),)
    )
    caches, counts = opened(untouched, other, third), np.arange(90) % 3
    joined = join(caches)
    seen = []
    for batch in joined.stream(8, shuffle="blocks", examples=Examples.of_items(counts)):
        seen += zip(batch.ids, batch.items.tolist(), strict=True)
        for row, stored in zip(joined.rows_of("2", batch.rows).tolist(), batch.fields["more"], strict=True):
            assert np.array_equal(stored, stored_row(third, 0, row, "more"))
    bad = {m.store.index.ids[row] for m in (untouched, other) for row in m.bad}
    ids = caches[0].ids
    assert sorted(seen) == sorted((ids[r], i) for r in range(90) if ids[r] not in bad for i in range(counts[r]))


def test_the_same_rows_cost_no_array(untouched: Made, tmp_path: Path) -> None:
    twin = make(tmp_path / "twin", signals=TOKENS)
    assert list(join(opened(untouched, twin))._rows.values()) == [None, None]


def test_ids_of_one_hash_are_told_from_one_another(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("kdcache.base.digest.id_hash", lambda image_id: len(image_id) & 1 or int(image_id[-7:-4]) % 5)
    one, two = make(tmp_path / "one"), make(tmp_path / "two", shuffled(make_listing()), signals=TOKENS)
    joined = join(opened(one, two))
    found = joined.rows_of("1", np.arange(90))
    assert [two.store.index.ids[row] for row in found] == list(one.store.index.ids)
    names = make_listing().ids.to_pylist()
    names[7] = names[7].replace("00007", "00912")
    import pyarrow as pa

    listing = make_listing()
    odd = Listing(pa.array(names, pa.large_string()), listing.labels, listing.classes, "odd")
    monkeypatch.setattr("kdcache.base.digest.id_hash", lambda image_id: 5)
    one, two = make(tmp_path / "three"), make(tmp_path / "four", odd, signals=TOKENS)
    with pytest.raises(Mismatch, match=r"three has 'img/0/ü00007\.jpg', .*four has not"):
        join(opened(one, two))


def test_a_joined_cache_pickles(untouched: Made, other: Made) -> None:
    joined = join(opened(untouched, other))
    again = pickle.loads(pickle.dumps(joined))
    assert content(again.stream(16, seed=4)) == content(joined.stream(16, seed=4))


def test_threads_end_when_a_consumer_stops(untouched: Made, other: Made) -> None:
    before = threading.active_count()
    for batch in join(opened(untouched, other)).stream(4):
        assert len(batch) == 4
        break
    gc.collect()
    assert threading.active_count() == before


def test_a_batch_can_be_kept(untouched: Made, other: Made) -> None:
    joined = join(opened(untouched, other))
    kept = [batch.copy() for batch in joined.stream(4)]
    assert content(kept) == content(joined.stream(4))


def recipe(**plain: Any) -> Callable[[Plan], Plan]:
    return lambda plan: plan.model_copy(
        update={"views": plan.views.model_copy(update={"recipe": Plain(**{"fit": "crop", **plain})})}
    )


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
            r"two is of other images than .*one: .*one has 'img/5/ü00089.jpg', .*two has not \(90 images there, 89",
        ),
        ({}, OTHERS, {}, r"one has 'img/0/ü00000.jpg', .*two has not"),
        (
            {},
            RESIZED,
            {},
            r"two has images of the same ids as .*one, but other files: fingerprint is .* there, resized here",
        ),
        ({}, LISTING, {"recipe": Plain(fit="pad")}, r"two has other views than .*one: fit is 'crop' there, 'pad' here"),
        (drawn(1, UNMIXED), LISTING, drawn(2, UNMIXED), r"two has other views than .*one: seed is 1 there, 2 here"),
        (
            drawn(1, MIXED),
            shuffled(LISTING),
            drawn(1, MIXED),
            r"partners are found by row, and its rows have another order",
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
