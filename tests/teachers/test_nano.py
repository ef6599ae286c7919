"""Promises of the nano teachers: small, as good as they say, made by one command, laid out like published checkpoints."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdcache.errors import Unavailable, UsageError
from kdcache.images.shapes import CLASSES, Shapes
from kdcache.signals.shown import Shown
from kdcache.teachers.families.clip import FAMILY
from kdcache.teachers.nano import NANO_CLASSES, NANO_TEMPLATES, nano_vocabulary
from kdcache.teachers.registry import family_of, trainable_names
from tests.teachers.trainings import assert_learns_and_repeats_itself

LEAST = {"florence": 0.85, "clip": 0.70}
"""top-1 on the held-out split, of the families whose nano weights are in the package"""


def header_of(path: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return file.metadata()


@pytest.fixture(scope="module")
def held_out():
    """All 2,000 pictures of the held-out split, and their classes."""
    source = Shapes("val")
    listing = source.scan()
    return np.stack([source.read(image_id) for image_id in listing.ids.to_pylist()]), listing.labels


@pytest.fixture(scope="module")
def pictures():
    from kdcache.teachers.nano_training.pictures import paint_all

    return paint_all("train", count=64, workers=1)


@pytest.mark.slow
@pytest.mark.parametrize("family", LEAST)
def test_a_nano_teacher_is_as_good_as_promised_and_as_it_says(family, held_out):
    import torch

    from kdcache.teachers.registry import open_teacher

    teacher = open_teacher(family, size="nano", signals=("logits",))
    pixels, labels = held_out
    emitted = torch.cat([teacher.emit(Shown(batch))["logits"] for batch in torch.from_numpy(pixels).split(250)])
    accuracy = float((emitted.argmax(1).numpy() == labels).mean())
    assert accuracy >= LEAST[family]
    assert accuracy == pytest.approx(float(header_of(family_of(family).nano_weights())["accuracy"]), abs=0.005)
    assert teacher.spec.classes == CLASSES


@pytest.mark.parametrize("family", trainable_names())
def test_nano_weights_are_small_and_say_how_they_were_made(family):
    path = family_of(family).nano_weights()
    assert sum(f.stat().st_size for f in [path, *path.parent.glob("*.json")]) <= 2_000_000
    facts = header_of(path)
    assert facts["command"].startswith(f"kd teacher train-nano {family} ")
    assert "shapes version 1, 20,000 pictures of the train split" in facts["trained_on"]
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

    folder = ClipPupil().save(tmp_path, {}).parent
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
    clip = family_of("clip")
    assert clip.nano is not None
    elsewhere = replace(clip, nano=replace(clip.nano, file="elsewhere/model.safetensors"))
    with pytest.raises(Unavailable, match="clip-nano"):
        elsewhere.nano_weights()


def test_the_file_of_florence_nano_opens_in_timm():
    from safetensors.torch import load_file

    from kdcache.teachers.nano import nano_florence

    nano_florence().load_state_dict(load_file(family_of("florence").nano_weights()), strict=True)


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


@pytest.mark.parametrize("family", LEAST)
def test_training_learns_and_repeats_itself(family, pictures):
    """Eight epochs on 64 pictures."""
    from kdcache.teachers.nano_training.clip import ClipPupil
    from kdcache.teachers.nano_training.descent import Schedule
    from kdcache.teachers.nano_training.florence import FlorencePupil
    from kdcache.teachers.nano_training.training import fit

    recipe = Schedule(epochs=8, rate=2e-3, batch=32)

    def train(seed, progress):
        kinds: dict[str, Any] = {"clip": ClipPupil, "florence": FlorencePupil}
        pupil = kinds[family]()
        fit(pupil, pictures, family_of(family).nano_preprocess(), recipe, seed=seed, progress=progress)
        return pupil.network

    assert_learns_and_repeats_itself(train, least=0.5)


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
        clip.ClipPupil().save(tmp_path, {})
    assert (tmp_path / "clip" / "preprocessor_config.json").is_file()
    assert not (tmp_path / FAMILY.nano_file).exists()
