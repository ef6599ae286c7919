"""Folders are listed as torchvision's ImageFolder lists them; what was planned in another order is opened in that."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kdcache.images import open_source
from kdcache.images.order import NO_CLASSES, OLD_ORDER, OWN_ORDER, is_by_names
from kdcache.images.walk import Walk
from tests.images.samples import jpeg, pack, write

APPLES = ("apple/1.jpg", "apple/10.jpg", "apple/2.jpg", "apple-tart/1.jpg", "apple pie/1.jpg", "apple pie/2.jpg")
NESTED = (
    "a/x.jpg",
    "a/a/1.jpg",
    "a/a b/1.jpg",
    "a/a/c/1.jpg",
    "a/B.png",
    "a.b/1.jpg",
    "a b/1.jpg",
    "\u00e9/1.jpg",
    "z/1.jpg",
)


def tree(root: Path, ids) -> Path:
    for image_id in ids:
        write(root / image_id, b"x")
    return root


def as_torchvision(root: Path) -> tuple[list[str], list[int], tuple[str, ...]]:
    """Ids, labels and classes as ImageFolder has them."""
    from torchvision.datasets import ImageFolder

    theirs = ImageFolder(str(root), allow_empty=True)
    ids = [str(Path(path).relative_to(root)) for path, _ in theirs.samples]
    return ids, [label for _, label in theirs.samples], tuple(theirs.classes)


def listed(source) -> tuple[list[str], list[int], tuple[str, ...]]:
    listing = source.scan()
    return listing.ids.to_pylist(), listing.labels.tolist(), listing.classes


@pytest.mark.parametrize("ids", [APPLES, NESTED])
def test_classes_and_rows_are_those_of_imagefolder(tmp_path, ids):
    root = tree(tmp_path / "images", ids)
    (root / "empty").mkdir()
    (root / "linked").symlink_to(root / "z" if "z/1.jpg" in ids else root / "apple")
    source = open_source(str(root))
    assert listed(source) == as_torchvision(root)
    assert source.scan().order_doubt is None


def test_classes_are_in_the_order_of_their_names(tmp_path):
    ids, labels, classes = listed(open_source(str(tree(tmp_path / "images", APPLES))))
    assert classes == ("apple", "apple pie", "apple-tart")
    assert labels == [0, 0, 0, 1, 1, 2]
    assert ids[3] == "apple pie/1.jpg"


names = st.text(st.sampled_from("ab -./\u00e9\U0001f40e\uffee+0".replace("/", "")), min_size=1, max_size=3).filter(
    lambda name: not name.startswith(".")
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(names, min_size=2, max_size=4), min_size=1, max_size=10))
@example([["0", "a.", "0"], ["0", "a", "0", "0"]])  # no image lies in `0/a` itself, so `a.` before `a/` is in order
def test_any_tree_is_listed_as_imagefolder_lists_it(tmp_path_factory, paths):
    root = tmp_path_factory.mktemp("tree")
    for parts in paths:
        write(root.joinpath(*parts[:-1], parts[-1] + ".png"), b"x")
    assert listed(open_source(f"folder:{root}")) == as_torchvision(root)
    early = Walk(str(root), None)
    ids = [image_id for image_id, _ in early]
    assert early.by_names == is_by_names(ids) == (ids == as_torchvision(root)[0])


def test_a_folder_planned_before_keeps_its_order(tmp_path):
    root = tree(tmp_path / "images", APPLES)
    source = open_source({"kind": "folder", "path": str(root)})
    ids, labels, classes = listed(source)
    assert classes == ("apple pie", "apple-tart", "apple")
    assert ids == sorted(APPLES, key=str.encode)
    assert labels == [0, 0, 1, 2, 2, 2]
    assert source.spec() == {"kind": "folder", "path": str(root)}
    assert source.scan().order_doubt == OLD_ORDER


@pytest.mark.parametrize("wrapped", [False, True])
def test_images_given_anew_are_opened_in_the_order_of_the_plan(tmp_path, wrapped):
    """Also where only a choice of them is meant."""
    root, moved = tree(tmp_path / "images", APPLES), tree(tmp_path / "moved", APPLES)
    old: dict = {"kind": "folder", "path": str(root)}
    given = str(moved)
    if wrapped:
        old, given = {"kind": "few", "of": old, "count": 4}, f"few:4:{moved}"
    planned = open_source(old).scan()
    assert open_source(given, like=old).scan().fingerprint == planned.fingerprint
    assert open_source(given).scan().fingerprint != planned.fingerprint
    new = open_source(given).spec()
    assert open_source(str(root), like=new).scan().classes == ("apple", "apple pie", "apple-tart")


def test_like_another_kind_of_source_there_is_no_order_to_keep(tmp_path):
    root = tree(tmp_path / "images", APPLES)
    for other in ({"kind": "shapes"}, {"kind": "few", "of": {"kind": "tar"}}, {"kind": "made up"}, {}):
        assert open_source(str(root), like=other).spec()["order"] == "names"


def test_where_no_name_begins_another_both_orders_are_one(classes):
    old, new = open_source({"kind": "folder", "path": str(classes)}).scan(), open_source(str(classes)).scan()
    assert old.fingerprint == new.fingerprint
    assert old.order_doubt is None


@pytest.mark.parametrize(
    ("extra", "doubt"),
    [
        ("apple/._1.jpg", "apple/._1.jpg is listed by torchvision's ImageFolder only"),
        (".thumbnails/1.jpg", ".thumbnails is listed by torchvision's ImageFolder only"),
        ("apple/.hidden/1.jpg", "apple/.hidden is listed by torchvision's ImageFolder only"),
        ("apple/3.gif", "apple/3.gif is listed by kd only"),
    ],
)
def test_what_only_one_of_the_two_lists_is_a_doubt(tmp_path, extra, doubt):
    root = tree(tmp_path / "images", (*APPLES, extra))
    assert open_source(str(root)).scan().order_doubt == doubt


def test_what_neither_lists_is_no_doubt(tmp_path):
    root = tree(tmp_path / "images", (*APPLES, "apple/.DS_Store", "apple/notes.txt", "README"))
    (root / "apple" / "gone.jpg").symlink_to("/nowhere")
    source = open_source(str(root))
    assert source.scan().order_doubt is None
    assert listed(source) == as_torchvision(root)


def test_only_some_sources_are_numbered_by_everybody_alike(tmp_path, classes):
    flat = tree(tmp_path / "flat", ("1.jpg", "2.jpg"))
    tars = pack(tmp_path / "shards" / "0.tar", [("a.jpg", jpeg())])
    assert open_source(str(flat)).scan().order_doubt == NO_CLASSES
    assert open_source(str(tars)).scan().order_doubt == OWN_ORDER
    assert open_source(f"few:2:{classes}").scan().order_doubt == OWN_ORDER
    assert open_source("shapes:count=4").scan().order_doubt is None


@pytest.mark.parametrize("order", [{}, {"order": "names"}])
def test_imagenet_is_the_same_packed_and_unpacked_whatever_its_folders_are_called(tmp_path, order):
    """And, by names, that of torchvision's ImageFolder."""
    unpacked = tmp_path / "unpacked"
    tree(unpacked / "train", APPLES)
    inner = []
    for name in ("apple pie", "apple-tart", "apple"):
        members = [(i.split("/")[1], b"x") for i in APPLES if i.startswith(f"{name}/")][::-1]
        inner.append((f"{name}.tar", pack(tmp_path / f"{name}.tar", members).read_bytes()))
    pack(tmp_path / "packed" / "ILSVRC2012_img_train.tar", inner)
    one = open_source({"kind": "imagenet", "path": str(unpacked), **order})
    if not order:
        assert one.scan().ids.to_pylist() == [f"train/{i}" for i in sorted(APPLES, key=str.encode)]
        return
    other = open_source({"kind": "imagenet", "path": str(tmp_path / "packed"), **order})
    assert listed(one) == listed(other)
    ids, labels, _ = as_torchvision(unpacked / "train")
    assert listed(one)[:2] == ([f"train/{i}" for i in ids], labels)
    assert one.scan().order_doubt is None
