"""A few images of a source are some of its images, the same ones every time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcache.errors import UsageError
from kdcache.images import load, open_source
from kdcache.images.few import Few
from kdcache.testing.sources import SourceContract
from tests.images.samples import write


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 80), st.integers(0, 5))
def test_rows_keep_their_order_and_their_labels(count, seed):
    whole = open_source("shapes:count=60")
    listing, few = whole.scan(), Few(whole, count, seed).scan()
    where = {image_id: row for row, image_id in enumerate(listing.ids.to_pylist())}
    rows = [where[image_id] for image_id in few.ids.to_pylist()]
    assert len(rows) == min(count, 60)
    assert rows == sorted(set(rows))
    assert few.labels.tolist() == listing.labels[rows].tolist()
    assert few.classes == listing.classes


def test_the_choice_is_spread_over_the_source_and_depends_on_nothing_but_its_seed():
    source = open_source("few:20:shapes:count=1000")
    ids = source.scan().ids.to_pylist()
    assert ids == open_source(source.spec()).scan().ids.to_pylist()
    assert ids != Few(open_source("shapes:count=1000"), 20, seed=1).scan().ids.to_pylist()
    assert int(ids[-1].rpartition("/")[2]) > 500, "not the first ones"


def test_it_is_another_dataset_than_the_whole():
    marks = {open_source(spec).scan().fingerprint for spec in ("shapes:count=50", "few:49:shapes:count=50")}
    assert len(marks | {open_source("few:50:shapes:count=50").scan().fingerprint}) == 3


def test_images_are_read_as_the_source_reads_them():
    source = open_source("few:3:shapes:count=50,size=32")
    image_id = source.scan().ids[0].as_py()
    assert (load(source, image_id) == load(open_source("shapes:count=50,size=32"), image_id)).all()


@pytest.mark.parametrize("spec", ["few:0:shapes", "few:many:shapes", "few:3:", {"kind": "few", "count": 3}])
def test_what_is_no_choice_is_refused(spec):
    with pytest.raises(UsageError):
        open_source(spec)


class TestFew(SourceContract):
    @pytest.fixture
    def source(self):
        return open_source("few:4:shapes:count=9,size=32")

    @pytest.fixture
    def broken(self, tmp_path):
        write(tmp_path / "images" / "a.jpg", b"\xff\xd8\xff no more")
        return open_source(f"few:1:{tmp_path / 'images'}"), "a.jpg"
