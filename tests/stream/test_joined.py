"""Several caches of the same images are one stream, joined by image id."""

import gc
import pickle
import threading
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kdcache import Cache
from kdcache.codecs.distribution import TopK
from kdcache.errors import Mismatch
from kdcache.images.source import Listing
from kdcache.signals.signal import Signal
from kdcache.stream import Examples, join
from kdcache.stream.elsewhere import Elsewhere
from kdcache.stream.order import Order
from tests.store.making import Made, make_listing
from tests.stream.conftest import stored_row
from tests.stream.joining import TOKENS, content, make, opened, shuffled

SHUFFLES = ("full", "blocks", False)


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
    for joined in join([*opened(untouched), tokens]).stream(9, signals=["tokens"]):
        for image_id, values in zip(joined.ids, joined.decode()["tokens"], strict=True):
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
    listing = make_listing()
    odd = Listing(pa.array(names, pa.large_string()), listing.labels, listing.classes, "odd")
    monkeypatch.setattr("kdcache.base.digest.id_hash", lambda image_id: 5)
    one, two = make(tmp_path / "three"), make(tmp_path / "four", odd, signals=TOKENS)
    with pytest.raises(Mismatch, match=r"three has 'img/0/ü00007\.jpg', .*four does not"):
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


@pytest.mark.parametrize("items", [False, True])
def test_a_window_of_another_cache_is_announced_row_by_row(items: bool) -> None:
    rows = np.random.default_rng(0).permutation(60)
    order = Order(Examples.of_items(np.arange(60) % 4) if items else 60, shuffle="blocks", run=5, window=2)
    there, position = Elsewhere(order, rows), 0
    while position < len(order):
        end = there.lookahead(position)
        first, last = there.window(position)
        assert (first[:-1] < first[1:]).all()
        assert set(there.rows_of(there.slice(position, end)).tolist()) <= set(first.tolist())
        assert (last == first + 1).all()
        position = end
