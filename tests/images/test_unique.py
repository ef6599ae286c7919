"""Ids are found by hash, and duplicates are named with both places."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdcache.errors import UsageError
from kdcache.images.listing import Lister
from kdcache.images.unique import Lookup, refuse_duplicates


@given(
    st.lists(st.text(st.characters(blacklist_categories=["Cs"]), max_size=5), unique=True, max_size=30),
    st.text("ab", max_size=3),
)
def test_every_id_is_found_where_it_is(ids, other):
    lookup = Lookup(ids)
    for place, image_id in enumerate(ids):
        assert list(lookup.candidates(image_id)) == [place]
    assert other in ids or list(lookup.candidates(other)) == []
    refuse_duplicates(lookup, ids.__getitem__, str, "")


def test_a_duplicate_names_both_places():
    ids = ["b", "a", "c", "a"]
    with pytest.raises(UsageError, match="image id 'a' is there twice: line 1 and line 3"):
        refuse_duplicates(Lookup(ids), ids.__getitem__, "line {}".format, "rename one")


def test_two_ids_with_one_hash_are_not_taken_for_one(monkeypatch):
    monkeypatch.setattr("kdcache.images.unique.id_hash", lambda text: len(text))
    ids = ["aa", "b", "cc", "dd", "cc"]
    lookup = Lookup(ids)
    assert list(lookup.candidates("cc")) == [0, 2, 3, 4]
    refuse_duplicates(Lookup(ids[:4]), ids.__getitem__, str, "")
    with pytest.raises(UsageError, match="'cc' is there twice: 2 and 4"):
        refuse_duplicates(lookup, ids.__getitem__, str, "")


def listing(pairs):
    lister = Lister()
    for image_id, size in pairs:
        lister.add(image_id, size)
    return lister.finish(labelled=False)


def test_the_fingerprint_tells_apart_what_concatenation_does_not():
    marks = [
        listing(p).fingerprint
        for p in ([("ab", 1), ("c", 1)], [("a", 1), ("bc", 1)], [("abc", 1)], [("ab", 1), ("c", 2)], [])
    ]
    assert len(set(marks)) == 5


def test_a_list_longer_than_one_chunk_stays_in_order():
    pairs = [(f"{n:06d}é", n) for n in range(140_000)]
    made = listing(pairs)
    assert made.ids == pa.array([i for i, _ in pairs], pa.large_string())
    pairs[131_072] = (pairs[131_072][0], -1)
    assert listing(pairs).fingerprint != made.fingerprint


def test_labels_are_int32_with_unlabelled_rows():
    lister = Lister()
    lister.add("a", 1, 5)
    lister.add("b", 1)
    made = lister.finish(labelled=True, classes=("x",))
    assert made.labels.tolist() == [5, -1]
    assert made.labels.dtype == np.int32
