"""One image at a time, and what a cache says about itself."""

from typing import Any

import numpy as np
import pytest

from kdcache import Cache
from kdcache.errors import BadImage, Incomplete, UsageError
from kdcache.store import UnknownImage
from tests.store.making import Made
from tests.stream.conftest import stored_row, whole_array


def test_one_image_is_what_went_in(made: Made, cache: Cache) -> None:
    codec = made.store.plan.codecs()["logits"]
    for row in (0, 7, 45, 89):
        entry = cache[cache.ids[row]]
        assert (entry.image_id, entry.row, entry.view) == (cache.ids[row], row, 0)
        assert list(entry) == ["logits", "embedding", "features"]
        assert np.array_equal(entry["embedding"], stored_row(made, 0, row, "embedding"))
        assert np.array_equal(
            entry["logits"].logp, codec.decode({"logits": stored_row(made, 0, row, "logits")[None]}).logp
        )
        expected = stored_row(made, 0, row, "features").astype(np.float32) * whole_array(made, 0, row, "features_scale")
        assert np.allclose(entry["features"], expected, rtol=1e-6)


def test_another_view_and_the_stored_arrays(made: Made, cache: Cache) -> None:
    entry = cache.get(cache.ids[20], view=1, raw=True)
    assert entry.view == 1
    assert sorted(entry) == ["embedding", "features", "logits"]
    for name, array in entry.items():
        assert np.array_equal(array, stored_row(made, 1, 20, name))


def test_labels_come_along(cache: Cache) -> None:
    assert cache[cache.ids[5]].label == 5
    assert cache[cache.ids[11]].label is None, "this one is unlabelled"


def test_a_cache_goes_over_its_ids_as_a_dict_does(cache: Cache) -> None:
    assert list(cache) == list(cache.ids)
    assert all(image_id in cache for image_id in list(cache)[:5])


def test_a_row_number_is_no_id(cache: Cache) -> None:
    row: Any = 5
    with pytest.raises(TypeError, match=r"by image id, not by int; to get a row, use cache\[cache\.ids\[ROW\]\]"):
        cache[row]


def test_an_unknown_signal_is_a_key_error_that_lists_the_known_ones(cache: Cache) -> None:
    entry = cache[cache.ids[5]]
    with pytest.raises(KeyError, match="no signal 'logit'") as caught:
        entry["logit"]
    assert caught.value.hint == "it has logits, embedding, features"  # type: ignore[attr-defined]
    assert entry.get("logit") is None
    with pytest.raises(KeyError, match="no signal 'logit' in") as caught:
        cache.stream(signals=["logit"])
    assert caught.value.hint == "it has logits, embedding, features"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ({"signals": "logits"}, "signals=['logits']"),
        ({"views": 1}, "views=[1]"),
        ({"views": [2]}, "0 to 1"),
        ({"views": []}, "leave it out"),
        ({"batch_size": 0}, "at least 1"),
        ({"shuffle": True}, '"full", "blocks" or False'),
        ({"rank": 2, "world": 2}, "from 0"),
        ({"start": 99}, "batches count from 0"),
        ({"threads": 0}, "at least 1"),
    ],
    ids=str,
)
def test_what_a_stream_cannot_be_asked_comes_with_the_way_out(cache: Cache, asked: dict, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        cache.stream(**asked)
    assert hint in caught.value.hint


def test_a_rejected_image_says_why(cache: Cache) -> None:
    with pytest.raises(
        BadImage, match=r"img/3/ü00003\.jpg could not be used when the cache was built: truncated"
    ) as caught:
        cache[cache.ids[3]]
    assert str(cache.path / "rejected.jsonl") in caught.value.hint


def test_an_unknown_image_is_refused_with_the_nearest(cache: Cache) -> None:
    assert cache.ids[5] in cache
    assert "img/5/ü00006.jpg" not in cache
    with pytest.raises(UnknownImage, match=r"no image 'img/5/ü00006\.jpg'"):
        cache["img/5/ü00006.jpg"]


def test_an_image_of_a_missing_part_is_incomplete(plain: Made) -> None:
    plain.store.drop_part(plain.store.plan.parts()[0])
    cache = Cache.open(plain.store.path)
    with pytest.raises(Incomplete, match="v000/000000"):
        cache[cache.ids[0]]
    assert cache[cache.ids[80]].row == 80
    assert [str(part) for part in cache.missing] == ["v000/000000"]


def test_a_cache_says_what_it_is(made: Made, cache: Cache) -> None:
    assert len(cache) == 90
    assert cache.views == 2
    assert cache.classes == tuple(f"class {c}" for c in range(7))
    assert cache.teacher.family == "nano"
    assert cache.plan.identity == made.store.plan.identity
    assert cache.missing == []
    assert "90 images, 2 views, logits (topk:5), embedding (float32), features (int8)" in repr(cache)


def test_what_is_no_cache_is_refused(tmp_path) -> None:
    with pytest.raises(UsageError, match="is not a cache"):
        Cache.open(tmp_path)


def test_a_view_that_is_not_there_is_refused(cache: Cache) -> None:
    with pytest.raises(UsageError, match="no view 2 in"):
        cache.get(cache.ids[0], view=2)
