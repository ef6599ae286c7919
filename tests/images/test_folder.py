"""A folder tree is listed in one stable order, and nothing outside it is ever read."""

import os
import pickle
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcache.errors import BadImage, Unavailable, UsageError
from kdcache.images import load, open_source
from kdcache.images.folder import FolderSource
from kdcache.images.walk import MOST_LEVELS, MOST_WAYS
from kdcache.testing.sources import SourceContract
from tests.images.samples import jpeg, picture, write


def ids(source) -> list[str]:
    return source.scan().ids.to_pylist()


def fingerprint(path) -> str:
    return FolderSource(str(path)).scan().fingerprint


def test_class_folders_are_numbered_in_order(classes):
    listing = FolderSource(str(classes)).scan()
    assert listing.ids.to_pylist() == ["aster/1.jpg", "aster/b.jpg", "aster/deep/3.JPEG", "rose/10.jpg", "rose/2.jpg"]
    assert listing.classes == ("aster", "rose")
    assert listing.labels.tolist() == [0, 0, 0, 1, 1]
    assert listing.labels.dtype == np.int32
    assert str(listing.ids.type) == "large_string"


def test_an_empty_class_folder_keeps_its_number(classes):
    (classes / "iris").mkdir()
    listing = FolderSource(str(classes)).scan()
    assert listing.classes == ("aster", "iris", "rose")
    assert set(listing.labels.tolist()) == {0, 2}


def test_one_image_outside_means_there_are_no_classes(classes):
    write(classes / "stray.png", b"x")
    listing = FolderSource(str(classes)).scan()
    assert (listing.labels, listing.classes) == (None, None)
    assert len(listing) == 6


def test_folders_named_train_and_val_are_no_classes(classes, tmp_path):
    both = tmp_path / "both"
    shutil.copytree(classes, both / "train")
    shutil.copytree(classes, both / "val")
    assert FolderSource(str(both)).scan().labels is None
    assert FolderSource(str(both / "train")).scan().classes == ("aster", "rose")


names = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0/\\"), min_size=1, max_size=8
).filter(lambda n: not n.startswith(".") and len(n.encode()) < 200)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(names, min_size=1, max_size=3), min_size=1, max_size=12))
def test_the_order_of_early_plans_is_that_of_the_bytes_of_the_ids(tmp_path_factory, paths):
    root = tmp_path_factory.mktemp("walk")
    for parts in paths:
        try:
            write(root.joinpath(*parts[:-1], parts[-1] + ".png"), b"x")
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue  # one drawn name is both a file and a folder
    found = ids(open_source({"kind": "folder", "path": str(root)}))
    everything = [os.path.relpath(os.path.join(f, n), root) for f, _, files in os.walk(root) for n in files]
    assert found == sorted(everything, key=str.encode)


def test_hidden_files_are_skipped_and_other_files_counted(classes):
    write(classes / "rose" / ".hidden.jpg", b"x")
    write(classes / ".cache" / "thumb.jpg", b"x")
    for name in ("notes.txt", "rose/a.csv", "rose/b.csv", "rose/README"):
        write(classes / name, b"x")
    os.mkfifo(classes / "pipe.jpg")
    source = FolderSource(str(classes))
    assert len(source.scan()) == 5
    assert source.skipped == {".txt": 1, ".csv": 2, "no ending": 1, "not a file": 1}


def test_a_folder_without_images_says_what_is_there(tmp_path):
    write(tmp_path / "a.txt", b"")
    with pytest.raises(UsageError, match=r"no images in .*skipped: 1 \.txt"):
        FolderSource(str(tmp_path)).scan()


def test_the_fingerprint_changes_with_every_change_of_the_files(classes):
    seen = [fingerprint(classes), fingerprint(classes)]
    assert seen[0] == seen[1]
    write(classes / "rose" / "new.jpg", b"abc")
    seen.append(fingerprint(classes))
    write(classes / "rose" / "new.jpg", b"abcd")
    seen.append(fingerprint(classes))
    (classes / "rose" / "new.jpg").rename(classes / "rose" / "old.jpg")
    seen.append(fingerprint(classes))
    (classes / "rose" / "old.jpg").unlink()
    seen.append(fingerprint(classes))
    (classes / "aster" / "1.jpg").unlink()
    seen.append(fingerprint(classes))
    assert len(set(seen[1:])) == 5
    assert seen[0] == seen[5]


def test_the_fingerprint_does_not_know_where_the_folder_lies(classes, tmp_path):
    before = fingerprint(classes)
    shutil.move(classes, tmp_path / "elsewhere")
    assert fingerprint(tmp_path / "elsewhere") == before


def test_links_to_files_and_folders_are_followed(classes, tmp_path):
    subset = tmp_path / "subset"
    (subset / "few").mkdir(parents=True)
    (subset / "few" / "one.jpg").symlink_to(classes / "rose" / "2.jpg")
    (subset / "rose").symlink_to(classes / "rose")
    source = FolderSource(str(subset))
    assert ids(source) == ["few/one.jpg", "rose/10.jpg", "rose/2.jpg"]
    assert source.read("few/one.jpg") == source.read("rose/2.jpg") == jpeg(0)


def test_a_link_that_leads_back_is_an_error_and_not_endless(classes):
    (classes / "rose" / "again").symlink_to(classes)
    with pytest.raises(UsageError, match=r"rose/again/ leads back"):
        FolderSource(str(classes)).scan()


def test_a_broken_link_is_listed_and_its_reading_refused(classes):
    (classes / "rose" / "gone.jpg").symlink_to("/nowhere/at/all.jpg")
    source = FolderSource(str(classes))
    assert "rose/gone.jpg" in ids(source)
    with pytest.raises(BadImage, match="file is missing"):
        source.read("rose/gone.jpg")


def test_a_name_that_is_not_utf8_is_named(classes):
    with open(os.fsencode(classes) + b"/rose/caf\xe9.jpg", "wb"):
        pass
    with pytest.raises(UsageError, match=r"b'caf\\xe9.jpg' in .*rose/ is not UTF-8"):
        FolderSource(str(classes)).scan()


HOSTILE = [
    "../secret.jpg",
    "rose/../../secret.jpg",
    "/etc/passwd",
    "rose//2.jpg",
    "./rose/2.jpg",
    "",
    "rose/2.jpg\0",
    "..",
    "\ud800",
]


@pytest.mark.parametrize("image_id", HOSTILE)
def test_a_hostile_id_is_refused(classes, image_id):
    write(classes.parent / "secret.jpg", jpeg())
    with pytest.raises(BadImage, match=r"leads out of its folder|is not UTF-8"):
        FolderSource(str(classes)).read(image_id)


def test_reading_gives_the_bytes_of_the_file(classes):
    source = FolderSource(str(classes))
    assert source.read("aster/deep/3.JPEG") == jpeg(3)
    assert np.abs(load(source, "rose/2.jpg").astype(int) - np.asarray(picture(seed=0))).mean() < 8


def test_a_missing_file_is_a_bad_image_but_a_missing_folder_is_unavailable(classes):
    source = FolderSource(str(classes))
    with pytest.raises(BadImage, match="file is missing"):
        source.read("rose/none.jpg")
    with pytest.raises(BadImage, match="not a file"):
        source.read("rose")
    shutil.rmtree(classes)
    with pytest.raises(Unavailable, match="no longer exists"):
        source.read("rose/2.jpg")


@pytest.mark.parametrize(("number", "kind"), [(13, BadImage), (5, Unavailable)])
def test_a_file_without_permission_is_a_bad_image_but_a_failing_disk_is_not(classes, monkeypatch, number, kind):
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(kind, match=r"permission denied|cannot read .*2.jpg: Input/output error"):
        FolderSource(str(classes)).read("rose/2.jpg")


def test_a_huge_file_is_refused_unread(classes):
    with open(classes / "rose" / "huge.jpg", "wb") as file:
        file.truncate(1 << 31)
    with pytest.raises(BadImage, match="2147483648 bytes are more than"):
        FolderSource(str(classes)).read("rose/huge.jpg")


def test_a_source_travels_to_a_worker(classes):
    source = FolderSource(str(classes))
    source.scan()
    frozen = pickle.dumps(source)
    assert len(frozen) < 500
    assert pickle.loads(frozen).read("rose/2.jpg") == jpeg(0)
    assert open_source(source.spec()).scan().fingerprint == source.scan().fingerprint


def test_a_link_that_leads_to_itself_is_named(classes):
    (classes / "rose" / "again").symlink_to("again")
    with pytest.raises(UsageError, match=r"rose/again is a link that leads to itself"):
        FolderSource(str(classes)).scan()


def test_links_that_fan_out_end_with_the_name_of_one(classes):
    """Thirty levels of two links each: a thousand million ways to one image."""
    levels = classes.parent / "levels"
    for level in range(30):
        (levels / f"{level}").mkdir(parents=True)
        for name in ("left", "right"):
            (levels / f"{level}" / name).symlink_to(levels / f"{level + 1}")
    write(levels / "30" / "one.jpg", jpeg())
    (classes / "rose" / "all").symlink_to(levels / "0")
    with pytest.raises(
        UsageError, match=r"rose/all/left.*/(left|right) leads into .*levels/\d+, which links reach in more"
    ):
        FolderSource(str(classes)).scan()


def test_links_that_fan_out_a_little_end_at_once(classes, monkeypatch):
    """Five levels of two links each, eight ways of which are let through."""
    monkeypatch.setattr("kdcache.images.walk.MOST_WAYS", 8)
    for level in range(5):
        (classes / f"{level}").mkdir()
        for name in ("left", "right"):
            (classes / f"{level}" / name).symlink_to(classes / f"{level + 1}")
    write(classes / "5" / "one.jpg", jpeg())
    with pytest.raises(UsageError, match="which links reach in more than 8 ways"):
        FolderSource(str(classes)).scan()


def test_a_folder_may_be_linked_to_from_many(classes):
    for number in range(MOST_WAYS):
        (classes / f"class{number}").mkdir()
        (classes / f"class{number}" / "roses").symlink_to(classes / "rose")
    assert sum("roses" in image_id for image_id in ids(FolderSource(str(classes)))) == 2 * MOST_WAYS


def test_folders_without_end_are_an_error_and_no_bug(tmp_path):
    here = tmp_path
    for _ in range(MOST_LEVELS + 2):
        here = here / "d"
        here.mkdir()
    with pytest.raises(UsageError, match=f"lies more than {MOST_LEVELS} folders deep"):
        FolderSource(str(tmp_path)).scan()


class TestFolder(SourceContract):
    @pytest.fixture
    def source(self, classes):
        return open_source(str(classes))

    @pytest.fixture
    def broken(self, classes):
        write(classes / "rose" / "3.jpg", b"\xff\xd8\xff no more")
        return open_source(str(classes)), "rose/3.jpg"
