"""Promises of the nano teachers: small, as good as they say, made by one command, laid out like published checkpoints."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdcache.errors import Damage, Mismatch, Unavailable, UsageError
from kdcache.images.shapes import Shapes
from kdcache.signals.shown import Shown
from kdcache.teachers.nano import NANO_CLASSES, NANO_TEMPLATES, nano_vocabulary
from kdcache.teachers.registry import family_of, trainable_names
from tests.teachers.trainings import assert_learns_and_repeats_itself, work_of

LEAST = {("florence", "nano"): 0.85, ("clip", "nano"): 0.70}
"""top-1 on the held-out split, of the sizes in the package that know classes"""
SIZES = [(family, own.size) for family in trainable_names() for own in family_of(family).packaged]


def header_of(path: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return file.metadata()


def accuracy_of(family: str, size: str) -> float:
    """Top-1 on all 2,000 pictures of the held-out split."""
    import torch

    from kdcache.teachers.registry import open_teacher

    teacher = open_teacher(family, size=size, signals=("logits",))
    side = teacher.spec.preprocess.size[0]
    source = Shapes("val", size=side)
    listing, right = source.scan(), 0
    for first in range(0, len(listing), 100):
        pixels = [source.read(image_id) for image_id in listing.ids[first : first + 100].to_pylist()]
        emitted = teacher.emit(Shown(torch.from_numpy(np.stack(pixels))))["logits"]
        right += int((emitted.argmax(1).numpy() == listing.labels[first : first + 100]).sum())
    return right / len(listing)


@pytest.fixture(scope="module")
def pictures():
    from kdcache.teachers.nano_training.pictures import paint_all

    return paint_all("train", count=64, workers=1)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "size"), LEAST)
def test_a_teacher_in_the_package_is_as_good_as_promised_and_as_it_says(family, size):
    says = float(header_of(family_of(family).in_package(size).weights())["accuracy"])
    accuracy = accuracy_of(family, size)
    assert accuracy >= LEAST[family, size]
    assert accuracy == pytest.approx(says, abs=0.005)


@pytest.mark.parametrize(("family", "size"), SIZES)
def test_weights_in_the_package_are_small_and_say_how_they_were_made(family, size):
    path = family_of(family).in_package(size).weights()
    assert sum(f.stat().st_size for f in [path, *path.parent.glob("*.json")]) <= 2_000_000
    facts = header_of(path)
    assert facts["command"].startswith(f"kd teacher train-nano {family} ")
    assert ("--size" in facts["command"]) == (size != "nano")
    assert facts["trained_on"].startswith("shapes version 1, 20,000 pictures of the train split")
    assert facts["seed"] == "0"


def test_every_class_name_and_template_is_in_the_vocabulary():
    from kdcache.teachers.nano_training.captions import nano_tokenizer

    tokenizer = nano_tokenizer()
    unknown = tokenizer.token_to_id("<unknown>")
    texts = [template.format(name) for template in NANO_TEMPLATES for name in NANO_CLASSES]
    assert all(unknown not in encoded.ids for encoded in tokenizer.encode_batch(texts))
    assert all(sum(encoded.attention_mask) < 16 for encoded in tokenizer.encode_batch(texts)), "nothing is cut off"
    assert unknown in tokenizer.encode("a striped zebra").ids
    assert len(set(nano_vocabulary())) == tokenizer.get_vocab_size()


def test_the_folder_of_clip_nano_opens_in_transformers(tmp_path):
    import torch
    from transformers import AutoTokenizer, CLIPModel

    from kdcache.teachers.nano_training.clip import ClipPupil

    folder = ClipPupil().save(tmp_path / "clip" / "model.safetensors", {}).parent
    model, info = CLIPModel.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert model.dtype == torch.float32
    words = AutoTokenizer.from_pretrained(folder)(["a red ring."], padding="max_length", return_tensors="pt")
    assert words["input_ids"].shape == (1, 16)
    assert json.loads((folder / "preprocessor_config.json").read_text("utf-8"))["crop_size"] == {
        "height": 64,
        "width": 64,
    }


def test_weights_that_are_not_there_are_told():
    elsewhere = replace(family_of("clip").in_package("nano"), file="elsewhere/model.safetensors")
    with pytest.raises(Unavailable, match="size nano are not in this installation"):
        elsewhere.weights()


@pytest.mark.parametrize("size", ["nano"])
def test_the_files_of_florence_open_in_timm(size):
    from safetensors.torch import load_file

    from kdcache.teachers.nano import FLORENCE_TOWERS

    weights = load_file(family_of("florence").in_package(size).weights())
    FLORENCE_TOWERS[size]().load_state_dict(weights, strict=True)


def test_mirrors_and_turns_move_the_outline_with_the_picture(pictures):
    """A picture that is its own outline stays so: both are moved alike."""
    import torch

    from kdcache.teachers.nano_training.pictures import varied

    outline = pictures.outline
    moved, where = varied(outline.expand(-1, 3, -1, -1), outline, torch.Generator().manual_seed(0))
    share = (moved.mean((1, 2, 3)) / where.mean((1, 2, 3))).view(-1, 1, 1, 1)  # the light, up to a tenth
    assert ((share > 0.85) & (share < 1.15)).all()
    assert (moved[:, :1] - where * share).abs().max() < 40
    assert (where - outline).abs().mean() > 5, "they were moved"


def new_pupil(family: str) -> Any:
    from kdcache.teachers.nano import nano_florence
    from kdcache.teachers.nano_training.clip import ClipPupil
    from kdcache.teachers.nano_training.florence import FlorencePupil

    return ClipPupil() if family == "clip" else FlorencePupil(nano_florence())


@pytest.mark.parametrize("family", ["florence", "clip"])
def test_training_learns_and_repeats_itself(family, pictures):
    """Eight epochs on 64 pictures."""
    from kdcache.teachers.nano_training.schedule import Schedule
    from kdcache.teachers.nano_training.training import fit

    recipe = Schedule(epochs=8, rate=2e-3, batch=32)
    pixels = family_of(family).in_package("nano").pixels()

    def train(seed, progress):
        pupil = new_pupil(family)
        fit(pupil, work_of(pictures, pixels, recipe, seed, progress))
        return pupil.network

    assert_learns_and_repeats_itself(train, least=0.5)


def test_a_training_that_was_stopped_ends_like_one_that_was_not(pictures, tmp_path):
    import torch

    from kdcache.base.progress import Silent
    from kdcache.teachers.nano_training.schedule import Schedule
    from kdcache.teachers.nano_training.training import fit

    class Stopping(Silent):
        """Interrupts in the third epoch."""

        seen = 0

        def advance(self, images, *, bytes=0, rejected=0):
            self.seen += images
            if self.seen > 2.5 * 64:
                raise KeyboardInterrupt

    pixels = family_of("florence").in_package("nano").pixels()
    recipe = Schedule(epochs=4, rate=2e-3, batch=16)

    def trained(progress, saved):
        torch.manual_seed(0)
        pupil = new_pupil("florence")
        fit(pupil, work_of(pictures, pixels, recipe, 0, progress, saved))
        return pupil.network.state_dict()

    whole = trained(Silent(), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(Stopping(), tmp_path / "stopped")
    resumed = trained(Silent(), tmp_path / "stopped")
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())


def test_new_pictures_are_none_of_the_set_and_grow(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    import torch

    from kdcache.teachers.nano_training.pictures import paint_all
    from kdcache.teachers.nano_training.portions import FreshPictures
    from kdcache.teachers.nano_training.schedule import Schedule

    recipe = Schedule(epochs=4, rate=1e-3, fresh=True, portion=16, passes=2, sides=((0.0, 32), (0.5, 64)))
    with ThreadPoolExecutor(2) as pool:
        fresh = FreshPictures(recipe, 32, pool)
        seen = [fresh.portion(number) for number in range(fresh.passes)]
    assert [each.side for each in seen] == [32, 32, 32, 32, 64, 64, 64, 64]
    assert seen[4] is seen[5], "a portion is passed over twice"
    known = paint_all("train", count=16, workers=1).pixels
    assert not any(torch.equal(picture, other) for picture in seen[4].pixels for other in known)
    assert not torch.equal(seen[4].pixels, seen[6].pixels)
    assert (seen[0].alone != seen[0].pixels).any()
    assert (seen[4].alone == seen[4].pixels).all(), "isolated targets are painted at the beginning only"


@pytest.mark.slow
def test_a_command_that_was_stopped_is_continued_by_the_same_command(tmp_path, monkeypatch):
    """Six epochs on 64 pictures, stopped after the second."""
    from kdcache.base.progress import Silent
    from kdcache.teachers.nano_training import train

    class Noting(Silent):
        def __init__(self, stop: str) -> None:
            self.stop, self.notes = stop, list[str]()

        def note(self, text: str) -> None:
            self.notes.append(text.partition(":")[0])
            if self.stop in text:
                raise KeyboardInterrupt

    from kdcache.teachers.nano_training.pictures import paint_all

    monkeypatch.setattr(train, "paint_all", lambda split, **asked: paint_all(split, **{**asked, "count": 64}))
    first, second = Noting("epoch 2 of"), Noting("never")
    asked: dict[str, Any] = {"epochs": 6, "count": 64, "workers": 1}
    with pytest.raises(KeyboardInterrupt):
        train.train_nano("florence", tmp_path, **asked, progress=first)
    with pytest.raises(Mismatch, match="other options"):
        train.train_nano("florence", tmp_path, **{**asked, "seed": 1})
    made = train.train_nano("florence", tmp_path, **asked, progress=second)
    notes = [f"epoch {number} of 6, 64 pixels" for number in range(1, 7)]
    assert [*first.notes, *second.notes] == notes
    assert {path.name for path in tmp_path.iterdir()} == {"florence.safetensors"}
    assert header_of(made.path)["command"].startswith("kd teacher train-nano florence --seed 0 --epochs 6")


def test_the_state_of_another_training_is_not_continued(tmp_path):
    from kdcache.teachers.nano_training.saved import Saved

    path = tmp_path / "florence.training"
    Saved(path, {"seed": "0"}).save(2, {"modules": []})
    assert Saved(path, {"seed": "0"}).load() == (2, {"modules": []})
    with pytest.raises(Mismatch, match="other options"):
        Saved(path, {"seed": "1"}).load()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(Damage, match="cannot be read"):
        Saved(path, {"seed": "0"}).load()
    Saved(path, {}).remove()
    assert Saved(path, {"seed": "0"}).load() == (0, None)


def test_a_trained_checkpoint_is_never_overwritten(tmp_path):
    from kdcache.teachers.nano_training.train import train_nano

    (tmp_path / "florence.safetensors").write_bytes(b"mine")
    with pytest.raises(UsageError, match="there already"):
        train_nano("florence", tmp_path)
    assert (tmp_path / "florence.safetensors").read_bytes() == b"mine"


@pytest.mark.parametrize("wrong", [{"name": "donut"}, {"epochs": 0}, {"workers": 0}, {"count": 10}, {"seed": -1}])
def test_impossible_trainings_are_refused(wrong, tmp_path):
    from kdcache.teachers.nano_training.train import train_nano

    with pytest.raises(UsageError):
        train_nano(**{"name": "florence", "out": tmp_path, **wrong})


def test_a_nano_clip_that_was_stopped_while_it_was_kept_is_trained_again(tmp_path, monkeypatch):
    """Its weights come last: with them the folder is whole, and without them nothing is in the way."""
    from kdcache.teachers.nano_training import clip

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(clip, "save_half", stopped)
    with pytest.raises(KeyboardInterrupt):
        clip.ClipPupil().save(tmp_path / "clip" / "model.safetensors", {})
    assert (tmp_path / "clip" / "preprocessor_config.json").is_file()
    assert not (tmp_path / "clip" / "model.safetensors").exists()
