"""What every image source must keep, as tests for pytest: derive from `SourceContract` where your tests are.

    from kdcache.testing.sources import SourceContract

    class TestMine(SourceContract):
        @pytest.fixture
        def source(self, tmp_path):
            return MySource(...)

`broken` is a source of the same kind with an image that cannot be used, and the id of that image; left out where the kind cannot
hold one.
"""

import json
import pickle

import numpy as np
import pytest

from kdcache.errors import BadImage
from kdcache.images import UNLABELLED, Listing, Source, load, open_source
from kdcache.images.order import NAMES, is_by_names
from kdcache.images.registry import kind_of

READ = 5
"""Images of a source that are read."""
PICKLED = 1 << 16
"""Bytes a source may have when it is sent to the processes that render: no listing travels with it."""


class SourceContract:
    """The suite."""

    @pytest.fixture
    def source(self) -> Source:
        """A source of a few readable images."""
        raise NotImplementedError("give the suite a source: a fixture called `source`")

    @pytest.fixture
    def broken(self) -> tuple[Source, str] | None:
        """A source and the id of an image in it that cannot be used; None where there can be none."""
        return None

    def test_a_scan_lists_the_same_twice(self, source: Source) -> None:
        """In the same order, with the same fingerprint."""
        same_listing(source.scan(), source.scan())

    def test_image_ids_are_unique_words(self, source: Source) -> None:
        """Of UTF-8, not empty."""
        ids = source.scan().ids.to_pylist()
        assert ids
        assert len(set(ids)) == len(ids)
        assert all(isinstance(image_id, str) and image_id.encode() for image_id in ids)

    def test_images_come_in_the_order_the_source_declares(self, source: Source) -> None:
        """A source that is listed by names says so in its plain values."""
        if source.spec().get("order") == NAMES:
            # The first folder of ImageNet's ids is the split, which has no place among the names.
            assert is_by_names(image_id.removeprefix("train/") for image_id in source.scan().ids.to_pylist())

    def test_labels_are_classes(self, source: Source) -> None:
        """One a row; a class number, or UNLABELLED."""
        listing = source.scan()
        if listing.labels is None:
            return
        assert listing.labels.dtype == np.int32
        assert len(listing.labels) == len(listing)
        assert listing.labels.min() >= UNLABELLED
        assert listing.classes is None or listing.labels.max() < len(listing.classes)

    def test_an_image_is_the_same_whenever_it_is_read(self, source: Source) -> None:
        """RGB, uint8, the reader's own to write to."""
        for image_id in some(source):
            pixels = load(source, image_id)
            assert pixels.dtype == np.uint8
            assert pixels.ndim == 3
            assert pixels.shape[2] == 3
            before = pixels.copy()
            pixels[:] = 0
            assert np.array_equal(load(source, image_id), before)

    def test_its_plain_values_make_the_same_source_again(self, source: Source) -> None:
        """After a way through JSON, as a plan keeps them; their kind is one that is registered."""
        plain = json.loads(json.dumps(source.spec()))
        assert kind_of(plain) is not None
        again = open_source(plain)
        assert again.spec() == source.spec()
        assert again.name == source.name
        same_listing(again.scan(), source.scan())
        for image_id in some(source):
            assert np.array_equal(load(again, image_id), load(source, image_id))

    def test_it_travels_to_another_process_without_its_listing(self, source: Source) -> None:
        """And reads the same there."""
        ids = some(source)
        first = load(source, ids[0])
        sent = pickle.dumps(source)
        assert len(sent) <= PICKLED
        there = pickle.loads(sent)  # noqa: S301  # our own bytes of a line above
        assert np.array_equal(load(there, ids[0]), first)

    def test_an_image_it_does_not_have_is_a_bad_image(self, source: Source) -> None:
        """Also where the id tries to lead elsewhere."""
        for image_id in ("no such image", "../../etc/hostname", ""):
            with pytest.raises(BadImage):
                load(source, image_id)

    def test_an_image_that_cannot_be_used_is_a_bad_image(self, broken: tuple[Source, str] | None) -> None:
        """It is listed, and told when it is read."""
        if broken is None:
            return
        source, image_id = broken
        assert image_id in source.scan().ids.to_pylist()
        with pytest.raises(BadImage):
            load(source, image_id)


def some(source: Source) -> list[str]:
    """The first few image ids."""
    ids: list[str] = source.scan().ids.slice(0, READ).to_pylist()
    return ids


def same_listing(one: Listing, other: Listing) -> None:
    """An AssertionError where two listings differ."""
    assert one.ids.equals(other.ids)
    assert one.classes == other.classes
    assert one.fingerprint == other.fingerprint
    if one.labels is None or other.labels is None:
        assert one.labels is other.labels
    else:
        assert np.array_equal(one.labels, other.labels)
