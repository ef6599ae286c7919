"""The contract of every image source as tests for pytest: derive from `SourceContract` in a test file.

    from kdcache.testing.sources import SourceContract

    class TestMine(SourceContract):
        @pytest.fixture
        def source(self, tmp_path):
            return MySource(...)

`broken` is a source of the same kind with an unusable image, and the id of that image; leave it out if the kind cannot have
unusable images.
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
"""Number of images of a source that are read."""
PICKLED = 1 << 16
"""Most bytes of a pickled source, which is sent to the worker processes without its listing."""


class SourceContract:
    """The tests of an image source."""

    @pytest.fixture
    def source(self) -> Source:
        """A source of a few readable images."""
        raise NotImplementedError("give the suite a source: a fixture called `source`")

    @pytest.fixture
    def broken(self) -> tuple[Source, str] | None:
        """A source and the id of an unusable image in it; None if the kind cannot have one."""
        return None

    def test_a_scan_lists_the_same_twice(self, source: Source) -> None:
        """Two scans give the same order and the same fingerprint."""
        same_listing(source.scan(), source.scan())

    def test_image_ids_are_unique_words(self, source: Source) -> None:
        """Image ids are unique, not empty, and valid UTF-8."""
        ids = source.scan().ids.to_pylist()
        assert ids
        assert len(set(ids)) == len(ids)
        assert all(isinstance(image_id, str) and image_id.encode() for image_id in ids)

    def test_images_come_in_the_order_the_source_declares(self, source: Source) -> None:
        """The order of images is the one in the source's plain values."""
        if source.spec().get("order") == NAMES:
            # The first folder of ImageNet's ids is the split, which does not take part in the order.
            assert is_by_names(image_id.removeprefix("train/") for image_id in source.scan().ids.to_pylist())

    def test_labels_are_classes(self, source: Source) -> None:
        """Each row has a label: a class number or UNLABELLED."""
        listing = source.scan()
        if listing.labels is None:
            return
        assert listing.labels.dtype == np.int32
        assert len(listing.labels) == len(listing)
        assert listing.labels.min() >= UNLABELLED
        assert listing.classes is None or listing.labels.max() < len(listing.classes)

    def test_an_image_is_the_same_whenever_it_is_read(self, source: Source) -> None:
        """Reading an image again gives the same RGB uint8 pixels, in writable memory."""
        for image_id in some(source):
            pixels = load(source, image_id)
            assert pixels.dtype == np.uint8
            assert pixels.ndim == 3
            assert pixels.shape[2] == 3
            before = pixels.copy()
            pixels[:] = 0
            assert np.array_equal(load(source, image_id), before)

    def test_its_plain_values_make_the_same_source_again(self, source: Source) -> None:
        """The plain values survive JSON, name a registered kind, and open the same source again."""
        plain = json.loads(json.dumps(source.spec()))
        assert kind_of(plain) is not None
        again = open_source(plain)
        assert again.spec() == source.spec()
        assert again.name == source.name
        same_listing(again.scan(), source.scan())
        for image_id in some(source):
            assert np.array_equal(load(again, image_id), load(source, image_id))

    def test_it_travels_to_another_process_without_its_listing(self, source: Source) -> None:
        """A pickled source is small and reads the same images in another process."""
        ids = some(source)
        first = load(source, ids[0])
        sent = pickle.dumps(source)
        assert len(sent) <= PICKLED
        there = pickle.loads(sent)  # noqa: S301  # our own bytes of a line above
        assert np.array_equal(load(there, ids[0]), first)

    def test_an_image_it_does_not_have_is_a_bad_image(self, source: Source) -> None:
        """An unknown id raises BadImage, also if it tries to lead out of the source."""
        for image_id in ("no such image", "../../etc/hostname", ""):
            with pytest.raises(BadImage):
                load(source, image_id)

    def test_an_image_that_cannot_be_used_is_a_bad_image(self, broken: tuple[Source, str] | None) -> None:
        """An unusable image is listed, and raises BadImage when it is read."""
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
    """Assert that two listings are equal."""
    assert one.ids.equals(other.ids)
    assert one.classes == other.classes
    assert one.fingerprint == other.fingerprint
    if one.labels is None or other.labels is None:
        assert one.labels is other.labels
    else:
        assert np.array_equal(one.labels, other.labels)
