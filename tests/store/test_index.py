"""Ids, labels and look-up: exact in both directions, whatever the ids are."""

import pickle
import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcache.base.digest import file_digest
from kdcache.errors import Damage, UsageError
from kdcache.images.source import UNLABELLED, Listing
from kdcache.store import Index, UnknownImage, index_digest
from kdcache.store.index import write_index
from kdcache.store.places.local import LocalPlace
from tests.slowness import slowness

ids_of = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1, max_size=60, unique=True)


def listing_of(ids, labels=None) -> Listing:
    return Listing(pa.array(ids, pa.large_string()), labels, None, "f")


def write(path, listing: Listing) -> Index:
    with path.open("wb") as file:
        write_index(listing, file.write)
    return Index.open(LocalPlace(path.parent), path.name, expected=index_digest(listing))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("index")


@settings(max_examples=60, deadline=None)
@given(ids=ids_of, absent=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_every_id_is_found_at_its_row_and_no_other_is(folder, ids, absent):
    index = write(folder / "any.arrow", listing_of(ids))
    assert list(index.ids) == ids
    assert [index.ids[row] for row in range(-len(ids), 0)] == ids
    assert index.ids[1:3] == ids[1:3]
    assert [index.row_of(image_id) for image_id in ids] == list(range(len(ids)))
    assert index.labels is None
    if absent not in ids:
        with pytest.raises(KeyError):
            index.row_of(absent)


@settings(max_examples=40, deadline=None)
@given(ids=ids_of, bits=st.integers(0, 3))
def test_colliding_hashes_do_not_confuse_ids(folder, ids, bits):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kdcache.base.digest.id_hash", lambda image_id: len(image_id) & bits)
        index = write(folder / "collide.arrow", listing_of(ids))
        assert [index.row_of(image_id) for image_id in ids] == list(range(len(ids)))
        with pytest.raises(UnknownImage):
            index.row_of("no such image at all")


def test_the_same_id_twice_is_refused_with_both_rows(monkeypatch):
    with pytest.raises(UsageError, match="'b' is there twice: rows 1 and 4"):
        index_digest(listing_of(["a", "b", "c", "d", "b"]))
    monkeypatch.setattr("kdcache.base.digest.id_hash", lambda image_id: 5)
    with pytest.raises(UsageError, match="'a' is there twice: rows 0 and 2"):
        index_digest(listing_of(["a", "b", "a"]))


def test_an_unknown_id_names_the_nearest(tmp_path):
    index = write(tmp_path / "i", listing_of([f"cats/cat_{i:03d}.jpg" for i in range(300)]))
    with pytest.raises(UnknownImage) as caught:
        index.row_of("dogs/cat_123.jpg")
    assert "'dogs/cat_123.jpg'" in str(caught.value)
    assert caught.value.details["nearest"] == ["cats/cat_123.jpg"]
    with pytest.raises(UnknownImage) as caught:
        index.row_of("cats/cat_12x.jpg")
    assert len(caught.value.details["nearest"]) == 3
    near = caught.value.details["nearest"]
    assert all(sum(a != b for a, b in zip(found, "cats/cat_12x.jpg", strict=True)) <= 3 for found in near)
    with pytest.raises(UnknownImage) as caught:
        index.row_of("\\")
    assert "cats/cat_000.jpg" in caught.value.hint


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ("img_1.jpg", [f"{number}" * 1_000_000 + "img_1.jpg" for number in range(40)]),
        ("img_1.jpg", [f"{number}" * 1_000_000 for number in range(40)]),
        ("ab" * 90, ["ab" * 90 + f"{number}" for number in range(5000)]),
        ("ab" * 90, [f"{number:b}".replace("0", "a").replace("1", "b") * 15 for number in range(4096, 8000)]),
        ("x" * 100_000, [f"{number}" for number in range(5000)]),
    ],
    ids=["that hold it", "that are long", "that are alike", "of two letters", "unlike a long one"],
)
def test_long_ids_cost_who_asks_for_an_absent_one_neither_time_nor_pages(tmp_path, wanted, ids):
    index = write(tmp_path / "i", listing_of(ids))
    started = time.process_time()
    with pytest.raises(UnknownImage) as caught:
        index.row_of(wanted)
    assert time.process_time() - started < 5 * slowness()
    assert len(caught.value.hint) < 500


def test_labels_come_back_with_the_unknown_ones_marked(tmp_path):
    labels = np.array([3, UNLABELLED, 0, 7], np.int32)
    index = write(tmp_path / "i", listing_of(list("abcd"), labels))
    assert index.labels.dtype == np.int32
    assert index.labels.tolist() == labels.tolist()
    full = write(tmp_path / "j", listing_of(list("abcd"), np.arange(4, dtype=np.int32)))
    assert full.labels.tolist() == [0, 1, 2, 3]


def test_the_same_listing_gives_the_same_bytes_however_it_is_cut(tmp_path):
    ids = [f"x/{i}" for i in range(1000)]
    whole, cut = listing_of(ids), listing_of(["in front", *ids])
    cut = Listing(cut.ids.slice(1), None, None, "f")
    chunked = Listing(pa.chunked_array([ids[:400], ids[400:]], pa.large_string()), None, None, "f")
    write(tmp_path / "i", whole)
    assert file_digest(tmp_path / "i") == index_digest(whole) == index_digest(cut) == index_digest(chunked)


def test_a_single_flipped_bit_is_seen_before_the_index_is_used(tmp_path):
    listing = listing_of([f"x/{i}" for i in range(50)], np.arange(50, dtype=np.int32))
    write(tmp_path / "i", listing)
    sound = (tmp_path / "i").read_bytes()
    for place in range(0, len(sound), 37):
        (tmp_path / "i").write_bytes(sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :])
        with pytest.raises(Damage, match="digest"):
            Index.open(LocalPlace(tmp_path), "i", expected=index_digest(listing))
    (tmp_path / "i").unlink()
    with pytest.raises(Damage, match="missing"):
        Index.open(LocalPlace(tmp_path), "i", expected=index_digest(listing))


def test_ids_pickle_as_a_path(tmp_path):
    index = write(tmp_path / "i", listing_of([f"x/{i}" for i in range(10_000)]))
    raw = pickle.dumps((index, index.ids))
    assert len(raw) < 500
    again, ids = pickle.loads(raw)
    assert again.row_of("x/777") == 777
    assert ids[777] == "x/777"
    with pytest.raises(IndexError):
        ids[10_000]


def test_it_is_an_arrow_file_like_any_other(tmp_path):
    write(tmp_path / "i", listing_of(["b", "a"], np.array([1, -1], np.int32)))
    table = pa.ipc.open_file(tmp_path / "i").read_all()
    assert table.column_names == ["image_id", "label", "hash", "hash_row"]
    assert table.column("label").to_pylist() == [1, None]
    assert table.column("hash").to_pylist() == sorted(table.column("hash").to_pylist())
