"""`kd eval --task retrieve` over images in the publishers' layouts, the way a person would type it."""

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.images.samples import python2_pickle, write
from tests.students import trained

RNG = np.random.default_rng(7)
TRAIN = RNG.integers(0, 256, (20, 3072), dtype=np.uint8)
LABELS = [number % 4 for number in range(20)]
TEST = TRAIN[[0, 5, 10, 19]]
"""copies of four images of the train split, so that each finds its own"""
TOLD = [LABELS[0], LABELS[5], LABELS[10], (LABELS[19] + 1) % 4]
"""the last is said to be of another class than its copy"""


@pytest.fixture
def ten(tmp_path):
    root = tmp_path / "cifar-10-batches-py"
    for part in range(5):
        rows = slice(4 * part, 4 * part + 4)
        batch = {"data": TRAIN[rows], "labels": LABELS[rows], "batch_label": "train"}
        write(root / f"data_batch_{part + 1}", python2_pickle(batch))
    write(root / "test_batch", python2_pickle({"data": TEST, "labels": TOLD, "batch_label": "test"}))
    write(root / "batches.meta", python2_pickle({"label_names": [f"class{n}" for n in range(10)], "num_vis": 3072}))
    return f"cifar10:{root}:test"


@pytest.fixture
def hundred(tmp_path):
    root = tmp_path / "cifar-100-binary"
    for name, data, labels in (("train.bin", TRAIN, LABELS), ("test.bin", TEST, TOLD)):
        fronts = np.array([[0, label] for label in labels], np.uint8)
        write(root / name, np.concatenate([fronts, data], axis=1).tobytes())
    write(root / "fine_label_names.txt", "\n".join(f"fine{n}" for n in range(100)).encode() + b"\n")
    return f"cifar100:{root}:test"


@pytest.mark.parametrize("edition", ["ten", "hundred"])
def test_the_test_split_is_searched_for_in_the_train_split(kd, tmp_path, request, edition):
    data = request.getfixturevalue(edition)
    run = trained.make_run(tmp_path / "animals", trained.small_spec(size=32)).path
    ran = kd("eval", run, "--task", "retrieve", "--data", data, "--workers", 0, "--device", "cpu", "--json")
    assert ran.code == 0, ran.err
    found, inverse = ran.json["marks"]["found"], ran.json["marks"]["inverse"]
    assert (found["queries"], found["top1"]) == (4, 0.75)
    assert inverse["queries"] == 20
    assert 3 / 20 <= inverse["top1"] < 1.0, (
        "three of the bank find their copy; none that is asked about is of the last class"
    )
    about = ran.json["about"]
    assert (about["images"], about["bank_images"], about["rejected"]) == (4, 20, {})
    assert (about["data"], about["bank"]) == (f"{data.split(':')[0]}-test", f"{data.split(':')[0]}-train")


def test_its_training_images_are_no_test(kd, tmp_path, ten):
    run = trained.make_run(tmp_path / "animals", trained.small_spec(size=32)).path
    ran = kd("eval", run, "--task", "retrieve", "--data", ten.replace(":test", ":train"), "--workers", 0)
    assert ran.code == 2
    assert "training split" in ran.err


def test_images_of_either_side_that_cannot_be_read_are_named(kd, photos, tmp_path):
    asked, bank = (shutil.copytree(photos, tmp_path / name) for name in ("asked", "bank"))
    for image in [path for path in bank.rglob("*") if path.is_file()]:  # copies of the judged images would be refused
        image.rename(image.with_name(f"other-{image.name}"))
    for folder in (asked, bank):
        (folder / "cats" / f"{folder.name}.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    run = trained.make_run(tmp_path / "animals", trained.small_spec(size=32)).path
    words = ["--task", "retrieve", "--data", asked, "--bank", bank, "--workers", 0, "--device", "cpu", "--json"]
    ran = kd("eval", run, *words)
    assert ran.code == 3
    assert sorted(ran.json["about"]["rejected"]) == ["cats/asked.jpg", "cats/bank.jpg"]


def test_a_student_that_makes_no_numbers_is_not_searched_with(kd, ten, tmp_path):
    run = trained.make_run(tmp_path / "animals", trained.small_spec(size=32)).path
    weights = load_file(run / "best.safetensors")
    name = next(name for name, tensor in weights.items() if tensor.ndim == 4)
    save_file(weights | {name: torch.full_like(weights[name], 3e38)}, run / "best.safetensors")
    ran = kd("eval", run, "--task", "retrieve", "--data", ten, "--workers", 0, "--device", "cpu")
    assert ran.code == 4
    assert "4 of 4 embeddings contain NaN or infinity" in ran.err
