"""CIFAR as published is read without running what is in its pickles."""

import os
import pickle
import pickletools
import tarfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcache.errors import BadImage, Damage, Unavailable, UsageError
from kdcache.images import load, open_source
from kdcache.images.unpickle import read_pickle
from kdcache.testing.sources import SourceContract
from tests.images.samples import python2_pickle, write

ROWS = 4


def pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (ROWS, 3072), dtype=np.uint8)


def picture(flat: np.ndarray) -> np.ndarray:
    return flat.reshape(3, 32, 32).transpose(1, 2, 0)


@pytest.fixture
def ten(tmp_path):
    root = tmp_path / "cifar-10-batches-py"
    for number, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        write(root / name, python2_pickle({"data": pixels(number), "labels": [number, 1, 2, 9], "batch_label": name}))
    write(root / "batches.meta", python2_pickle({"label_names": [f"class{n}" for n in range(10)], "num_vis": 3072}))
    return root


@pytest.fixture
def hundred_binary(tmp_path):
    root = tmp_path / "cifar-100-binary"
    for name, seed in (("train.bin", 0), ("test.bin", 1)):
        fronts = np.array([[7, 99], [1, 0], [2, 5], [3, 50]], np.uint8)
        write(root / name, np.concatenate([fronts, pixels(seed)], axis=1).tobytes())
    write(root / "fine_label_names.txt", "\n".join(f"fine{n}" for n in range(100)).encode() + b"\n")
    return root


def test_the_pickles_of_the_publisher_are_read(ten):
    source = open_source(f"cifar10:{ten}")
    listing = source.scan()
    assert listing.ids.to_pylist()[:2] == ["train/00000", "train/00001"]
    assert len(listing) == 5 * ROWS
    assert listing.labels.tolist()[ROWS : 2 * ROWS] == [1, 1, 2, 9]
    assert listing.classes == tuple(f"class{n}" for n in range(10))
    assert np.array_equal(load(source, "train/00005"), picture(pixels(1)[1]))
    assert source.name == "cifar10-train"


def test_the_other_split_is_asked_for_by_name(ten):
    source = open_source(f"cifar10:{ten}:test")
    assert source.scan().ids.to_pylist() == [f"test/{n:05d}" for n in range(ROWS)]
    assert np.array_equal(load(source, "test/00003"), picture(pixels(5)[3]))
    with pytest.raises(UsageError, match="has no split 'val'"):
        open_source(f"cifar10:{ten}:val")


def test_the_binary_edition_is_read(hundred_binary):
    source = open_source(f"cifar100:{hundred_binary}")
    listing = source.scan()
    assert listing.labels.tolist() == [99, 0, 5, 50]
    assert listing.classes[99] == "fine99"
    assert np.array_equal(load(source, "train/00002"), picture(pixels(0)[2]))


@pytest.mark.parametrize("mode", ["w:gz", "w:"])
def test_the_archive_is_read_as_it_was_fetched(ten, tmp_path, mode):
    path = tmp_path / ("cifar.tar.gz" if mode == "w:gz" else "cifar-10.tar")
    with tarfile.open(path, mode) as archive:
        archive.add(ten, ten.name)
    packed, unpacked = open_source(f"cifar10:{path}"), open_source(f"cifar10:{ten}")
    assert packed.scan().fingerprint == unpacked.scan().fingerprint
    assert np.array_equal(packed.read("train/00007"), unpacked.read("train/00007"))
    assert np.array_equal(pickle.loads(pickle.dumps(packed)).read("train/00007"), unpacked.read("train/00007"))


def test_a_bare_path_is_recognised(ten, hundred_binary, tmp_path):
    assert open_source(str(ten)).spec()["kind"] == "cifar10"
    assert open_source(str(hundred_binary)).spec()["kind"] == "cifar100"
    with tarfile.open(tmp_path / "c.tar.gz", "w:gz") as archive:
        archive.add(ten, ten.name)
    assert open_source(str(tmp_path / "c.tar.gz")).spec()["kind"] == "cifar10"


def test_pickles_of_python_3_are_read_too():
    for protocol in (2, 3, 4):
        raw = pickle.dumps({b"data": pixels(0), b"labels": [1, 2]}, protocol=protocol)
        record = read_pickle(raw, "x")
        assert np.array_equal(record["data"], pixels(0))
        assert record["labels"] == [1, 2]


class Runs:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_wants_to_run_something_is_refused(tmp_path, protocol):
    flag = tmp_path / "ran"
    for call in (Runs(os.mkdir, str(flag)), Runs(eval, f"open({str(flag)!r}, 'w')"), Runs(np.save, str(flag), 1)):
        raw = pickle.dumps({b"data": call}, protocol=protocol)
        with pytest.raises(Damage, match="is not a CIFAR file: it contains a "):
            read_pickle(raw, "data_batch_1")
    assert not any(tmp_path.iterdir())


def test_arrays_that_are_not_bytes_are_refused():
    for array in (np.zeros(3), np.array([{}, []], object), np.zeros(2, "u2"), np.array(["a"])):
        with pytest.raises(Damage, match="not a CIFAR file"):
            read_pickle(pickle.dumps({"data": array}, protocol=2), "x")


@pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")  # in a damaged text, not in ours
@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_pickle_is_damage_or_data_and_never_a_crash(changes):
    raw = bytearray(python2_pickle({"data": pixels(0)[:1], "labels": [3]}))
    head = len(raw) - 3072
    for place, value in changes:
        raw[place % head] = value
    if any(opcode.name in ("LONG_BINPUT", "BINPUT", "PUT") for opcode in _opcodes(bytes(raw))):
        return  # a memo index out of nowhere only costs memory
    try:
        assert isinstance(read_pickle(bytes(raw), "x"), dict)
    except Damage:
        return


def _opcodes(raw: bytes):
    try:
        for opcode, _, _ in pickletools.genops(raw):
            yield opcode
    except (ValueError, KeyError, IndexError, OverflowError):
        return


def test_missing_and_broken_files_are_named(ten, hundred_binary, tmp_path):
    (ten / "data_batch_3").unlink()
    with pytest.raises(Unavailable, match="data_batch_3"):
        open_source(f"cifar10:{ten}").scan()
    raw = (hundred_binary / "train.bin").read_bytes()
    (hundred_binary / "train.bin").write_bytes(raw[:-1])
    with pytest.raises(Damage, match=r"train\.bin is truncated"):
        open_source(f"cifar100:{hundred_binary}").scan()
    with pytest.raises(UsageError, match="no cifar10 in"):
        open_source(f"cifar10:{tmp_path}/cifar-100-binary")
    with pytest.raises(Damage, match="cannot be read"):
        open_source(f"cifar10:{write(tmp_path / 'c.tar.gz', b'no archive')}")


def test_wrong_labels_are_named(ten):
    write(ten / "data_batch_1", python2_pickle({"data": pixels(0), "labels": [1, 2, 3, 10]}))
    with pytest.raises(Damage, match=r"row 3 of .* has class 10 of 10"):
        open_source(f"cifar10:{ten}").scan()
    write(ten / "data_batch_1", python2_pickle({"data": pixels(0), "labels": [1, 2]}))
    with pytest.raises(Damage, match="data_batch_1 has 2 labels for pixels"):
        open_source(f"cifar10:{ten}").scan()


def test_one_changed_pixel_changes_the_fingerprint(hundred_binary):
    before = open_source(f"cifar100:{hundred_binary}").scan().fingerprint
    raw = bytearray((hundred_binary / "train.bin").read_bytes())
    raw[-1] ^= 1
    (hundred_binary / "train.bin").write_bytes(raw)
    assert open_source(f"cifar100:{hundred_binary}").scan().fingerprint != before


@pytest.mark.parametrize(
    "image_id", ["train/00020", "test/00000", "train/1", "train/-0001", "00001", "train/٠٠٠٠١", "../x"]
)
def test_an_id_that_is_not_there_is_refused(ten, image_id):
    with pytest.raises(BadImage, match="no image"):
        open_source(f"cifar10:{ten}").read(image_id)


class TestTen(SourceContract):
    @pytest.fixture
    def source(self, ten):
        return open_source(f"cifar10:{ten}:test")


class TestHundred(SourceContract):
    @pytest.fixture
    def source(self, hundred_binary):
        return open_source(f"cifar100:{hundred_binary}")
