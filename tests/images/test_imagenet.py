"""ImageNet in the layouts its publishers ship: same ids and class numbers packed or unpacked."""

import tarfile
from pathlib import Path

import pytest

from kdcache.errors import Damage, UsageError
from kdcache.images import load, open_source
from kdcache.images.matfile import read_mat
from kdcache.testing.sources import SourceContract
from tests.images.samples import jpeg, pack, write

TENCH, SETTER, FOX = "n01440764", "n02100735", "n02119789"
META = (Path(__file__).parent / "data" / "meta.mat").read_bytes()
"""written by scipy: fox is 1, setter 2, tench 3, and a class of classes 1001"""
TRUTH = b"3\n1\n2\n3\n"
"""tench, fox, setter, tench"""


def train_files() -> dict[str, bytes]:
    return {f"{s}/{s}_{n}.JPEG": jpeg(n) for s in (FOX, SETTER, TENCH) for n in (10, 2)}


def val_files() -> dict[str, bytes]:
    return {f"ILSVRC2012_val_{n:08d}.JPEG": jpeg(n) for n in range(1, 5)}


@pytest.fixture
def unpacked(tmp_path):
    root = tmp_path / "unpacked"
    for name, raw in train_files().items():
        write(root / "train" / name, raw)
    for name, raw in val_files().items():
        write(root / "val" / name, raw)
    return root


@pytest.fixture
def packed(tmp_path):
    """The tars and the devkit as the publisher offers them."""
    root = tmp_path / "packed"
    inner = {}
    for synset in (SETTER, FOX, TENCH):
        members = [(n.split("/")[1], raw) for n, raw in train_files().items() if n.startswith(synset)]
        inner[synset] = pack(tmp_path / f"{synset}.tar", members).read_bytes()
    pack(root / "ILSVRC2012_img_train.tar", [(f"{s}.tar", raw) for s, raw in inner.items()])
    pack(root / "ILSVRC2012_img_val.tar", list(val_files().items())[::-1])
    devkit = [("meta.mat", META), ("ILSVRC2012_validation_ground_truth.txt", TRUTH)]
    pack(root / "ILSVRC2012_devkit_t12.tar.gz", [(f"ILSVRC2012_devkit_t12/data/{n}", raw) for n, raw in devkit], "w:gz")
    return root


def kaggle(root: Path, solution: bytes) -> Path:
    write(root / "LOC_synset_mapping.txt", f"{TENCH} tench, Tinca\n{SETTER} English setter\n{FOX} kit fox\n".encode())
    write(root / "LOC_val_solution.csv", b"ImageId,PredictionString\n" + solution)
    return root


def labels(source) -> dict[str, int]:
    listing = source.scan()
    return dict(zip(listing.ids.to_pylist(), listing.labels.tolist(), strict=True))


def test_train_folders_are_numbered_in_sorted_order(unpacked):
    source = open_source(f"imagenet:{unpacked}")
    listing = source.scan()
    assert listing.ids.to_pylist()[:3] == [
        f"train/{TENCH}/{TENCH}_10.JPEG",
        f"train/{TENCH}/{TENCH}_2.JPEG",
        f"train/{SETTER}/{SETTER}_10.JPEG",
    ]
    assert listing.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert listing.classes == (TENCH, SETTER, FOX)
    assert source.read(f"train/{FOX}/{FOX}_2.JPEG") == jpeg(2)


@pytest.mark.parametrize("split", ["train", "val"])
def test_packed_and_unpacked_are_the_same_dataset(packed, unpacked, split):
    for name, raw in (("meta.mat", META), ("ILSVRC2012_validation_ground_truth.txt", TRUTH)):
        write(unpacked / "ILSVRC2012_devkit_t12" / "data" / name, raw)
    one, two = open_source(f"imagenet:{packed}:{split}"), open_source(f"imagenet:{unpacked}:{split}")
    assert one.scan().fingerprint == two.scan().fingerprint
    assert labels(one) == labels(two)
    assert (
        one.scan().classes == two.scan().classes == ("tench, Tinca tinca", "English setter", "kit fox, Vulpes macrotis")
    )
    for image_id in labels(one):
        assert one.read(image_id) == two.read(image_id)
    assert load(one, next(iter(labels(one)))).shape == (32, 48, 3)


def test_flat_validation_images_get_their_class_from_the_devkit(packed):
    assert list(labels(open_source(f"imagenet:{packed}:val")).values()) == [0, 2, 1, 0]


def test_flat_validation_images_get_their_class_from_kaggle(unpacked):
    rows = zip(range(4, 0, -1), (TENCH, SETTER, FOX, TENCH), strict=True)
    kaggle(unpacked, "".join(f"ILSVRC2012_val_{n:08d},{s} 85 1 499 272 {s} 1 1 2 2\n" for n, s in rows).encode())
    source = open_source(f"imagenet:{unpacked}:val")
    assert list(labels(source).values()) == [0, 2, 1, 0]
    assert source.scan().classes == ("tench, Tinca", "English setter", "kit fox")


def test_kaggles_own_folders_are_found(unpacked, tmp_path):
    root = tmp_path / "kaggle"
    (root / "ILSVRC" / "Data").mkdir(parents=True)
    unpacked.rename(root / "ILSVRC" / "Data" / "CLS-LOC")
    kaggle(root, b"")
    assert list(labels(open_source(f"imagenet:{root}")).values()) == [0, 0, 1, 1, 2, 2]


def test_validation_folders_take_the_numbers_of_train(unpacked, tmp_path):
    for old in (unpacked / "val").iterdir():
        old.unlink()
    write(unpacked / "val" / FOX / "ILSVRC2012_val_00000001.JPEG", jpeg())
    assert labels(open_source(f"imagenet:{unpacked}:val")) == {f"val/{FOX}/ILSVRC2012_val_00000001.JPEG": 2}


def test_validation_images_without_any_document_are_refused_with_the_way_out(unpacked):
    with pytest.raises(
        UsageError, match=r"has no file that gives the class of val/ILSVRC2012_val_00000001.JPEG"
    ) as caught:
        open_source(f"imagenet:{unpacked}:val").scan()
    assert "ILSVRC2012_devkit_t12.tar.gz" in str(caught.value.hint)
    write(unpacked / "ILSVRC2012_validation_ground_truth.txt", TRUTH)
    with pytest.raises(UsageError, match="has no file that gives the class"):
        open_source(f"imagenet:{unpacked}:val").scan()


def test_test_images_have_no_labels(unpacked):
    write(unpacked / "test" / "ILSVRC2012_test_00000001.JPEG", jpeg())
    assert open_source(f"imagenet:{unpacked}:test").scan().labels is None


def test_a_foreign_folder_is_named(unpacked):
    write(unpacked / "LOC_synset_mapping.txt", f"{TENCH} tench\n{FOX} kit fox\n".encode())
    with pytest.raises(UsageError, match=f"train/{SETTER}/.* has no class among the 2 known"):
        open_source(f"imagenet:{unpacked}").scan()


def test_what_is_not_there_is_named(tmp_path, unpacked):
    with pytest.raises(UsageError, match="no ImageNet train images") as caught:
        open_source(f"imagenet:{tmp_path}")
    assert "ILSVRC2012_img_train.tar" in str(caught.value.hint)
    with pytest.raises(UsageError, match="has no split 'dev'"):
        open_source({"kind": "imagenet", "path": str(unpacked), "split": "dev"})


def test_a_bare_path_is_recognised(packed, unpacked):
    assert open_source(str(packed)).spec()["kind"] == "imagenet"
    assert open_source(str(unpacked)).spec()["kind"] == "imagenet"
    assert open_source(str(unpacked / "train")).spec()["kind"] == "folder"


def test_a_truncated_inner_tar_is_named(packed):
    path = packed / "ILSVRC2012_img_train.tar"
    raw = bytearray(path.read_bytes())
    with tarfile.open(path) as archive:
        inner = archive.getmember(f"{FOX}.tar")
    raw[inner.offset_data + inner.size - 10240 : inner.offset_data + inner.size] = b"\xaa" * 10240
    path.write_bytes(raw)
    with pytest.raises(Damage, match=f"train/{FOX} in .*ILSVRC2012_img_train.tar"):
        open_source(f"imagenet:{packed}").scan()


def readable(raw: bytes) -> bool:
    try:
        return "synsets" in read_mat(raw, "meta.mat")
    except Damage:
        return False


def test_a_broken_meta_mat_is_damage(unpacked):
    assert readable(META)
    assert not any(readable(META[:cut]) for cut in range(len(META)))
    write(unpacked / "meta.mat", META[:200])
    with pytest.raises(Damage, match=r"meta\.mat in .* is damaged"):
        open_source(f"imagenet:{unpacked}").scan()


class TestUnpacked(SourceContract):
    @pytest.fixture
    def source(self, unpacked):
        return open_source(f"imagenet:{unpacked}")

    @pytest.fixture
    def broken(self, unpacked):
        write(unpacked / "train" / FOX / f"{FOX}_3.JPEG", b"\xff\xd8\xff no more")
        return open_source(f"imagenet:{unpacked}"), f"train/{FOX}/{FOX}_3.JPEG"


class TestPacked(SourceContract):
    @pytest.fixture
    def source(self, packed):
        return open_source(f"imagenet:{packed}:val")
