"""`hf:NAME`: any image model of transformers, with preprocessing from its own processor."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from kdcache.errors import Mismatch, UsageError
from kdcache.signals.shown import Shown
from kdcache.teachers.registry import open_teacher
from kdcache.teachers.reopen import reopen_teacher

MEAN, STD = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
PROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "size": {"height": 32, "width": 32},
    "resample": 2,
    "image_mean": MEAN,
    "image_std": STD,
}
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


@pytest.fixture
def vit(randomised) -> Any:
    labels = {"id2label": {0: "cat", 1: "dog", 2: "bird"}, "label2id": {"cat": 0, "dog": 1, "bird": 2}}
    config = transformers.ViTConfig(image_size=32, patch_size=8, **SMALL, **labels)
    return randomised(transformers.ViTForImageClassification(config))


def write(model: Any, folder: Path, processor: dict[str, Any] | None = PROCESSOR) -> str:
    model.save_pretrained(folder)
    if processor:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return str(folder)


def test_a_classifier_says_what_transformers_says(vit, pixels, normal, tmp_path: Path):
    folder = write(vit, tmp_path / "my-vit")
    teacher = open_teacher(f"hf:{folder}", signals=["logits", "embedding", "features", "classifier"])
    assert teacher.spec.size == "my-vit", "a path never goes into a spec"
    assert teacher.spec.weights.source == "file:my-vit"
    assert teacher.spec.classes == ("cat", "dog", "bird")
    geometry = teacher.spec.preprocess.geometry
    assert (geometry.fit, geometry.interpolation, teacher.spec.preprocess.mean) == ("squash", "bilinear", MEAN)
    views = pixels(2, (32, 32))
    with torch.no_grad():
        images = normal(views, MEAN, STD)
        hidden = vit.vit(images).last_hidden_state
        logits = vit(images).logits
    emitted = teacher.emit(Shown(views))
    torch.testing.assert_close(emitted["logits"], logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(emitted["classifier"], logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(emitted["embedding"], hidden[:, 0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(emitted["features"], hidden[:, 1:], rtol=1e-4, atol=1e-4)
    assert teacher.spec.signal("features").grid == (4, 4)


def test_the_same_teacher_opens_under_its_name_and_its_folder(vit, tmp_path: Path):
    folder = write(vit, tmp_path / "my-vit")
    assert open_teacher(f"hf:{folder}").spec == open_teacher("hf:my-vit", weights=folder).spec


def test_a_convolutional_model(randomised, pixels, normal, tmp_path: Path):
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=2
    )
    model = randomised(transformers.ResNetForImageClassification(config))
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if "running_var" in name:
                tensor.abs_()
    teacher = open_teacher(f"hf:{write(model, tmp_path)}", signals=["embedding", "features", "logits"])
    views = pixels(2, (32, 32))
    with torch.no_grad():
        out = model.resnet(normal(views, MEAN, STD))
    emitted = teacher.emit(Shown(views))
    torch.testing.assert_close(
        emitted["features"], out.last_hidden_state.flatten(2).transpose(1, 2), rtol=1e-3, atol=1e-3
    )
    torch.testing.assert_close(emitted["embedding"], out.pooler_output.flatten(1), rtol=1e-3, atol=1e-3)
    assert teacher.spec.classes is None, "LABEL_0 is a placeholder, not a name"


def test_a_model_without_head(randomised, pixels, tmp_path: Path):
    model = randomised(transformers.Dinov2Model(transformers.Dinov2Config(image_size=32, patch_size=8, **SMALL)))
    folder = write(model, tmp_path)
    teacher = open_teacher(f"hf:{folder}", signals=["embedding", "features"])
    assert teacher.spec.signal("features").grid == (4, 4)
    with pytest.raises(UsageError, match="it can emit embedding, features"):
        open_teacher(f"hf:{folder}")


def test_missing_tensors_are_an_error(vit, save, tmp_path: Path):
    write(vit, tmp_path)
    tensors = dict(vit.state_dict())
    del tensors["classifier.weight"]
    save(tensors, tmp_path / "model.safetensors")
    with pytest.raises(Mismatch, match=r"1 missing \(classifier\.weight\)"):
        open_teacher(f"hf:{tmp_path}")


def test_without_a_processor_only_random_weights_open(vit, tmp_path: Path):
    folder = write(vit, tmp_path, processor=None)
    with pytest.raises(UsageError, match="does not specify its preprocessing"):
        open_teacher(f"hf:{folder}")
    teacher = open_teacher(f"hf:{folder}", weights="random", signals=["embedding"])
    assert "default preprocessing" in teacher.spec.taps["embedding"]
    assert teacher.spec.weights.random


def test_random_weights_need_only_a_type():
    teacher = open_teacher("hf:mobilenet_v2", weights="random", signals=["embedding"], input_size=64)
    assert teacher.spec.signal("embedding").shape == (1280,)
    teacher = open_teacher("hf:mobilenet_v2", weights="random", classes=["a", "b", "c"], input_size=64)
    assert teacher.spec.signal("logits").shape == (3,)


@pytest.mark.parametrize("name", ["bert", "clip"])
def test_models_that_read_more_than_images_are_refused(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        f"transformers.{'BertConfig' if name == 'bert' else 'CLIPConfig'}.num_hidden_layers", 1, raising=False
    )
    with pytest.raises(UsageError, match="not images alone"):
        open_teacher(f"hf:{name}", weights="random", signals=["embedding"])


def test_a_processor_kd_does_not_know_is_refused_before_the_model_is_used(vit, tmp_path: Path):
    folder = write(vit, tmp_path, processor={**PROCESSOR, "do_crop_margin": True})
    with pytest.raises(UsageError, match=r"does not support the preprocessing of hf:.*: do_crop_margin is True"):
        open_teacher(f"hf:{folder}")


def test_a_plan_is_obeyed_whatever_the_processor_says_now(vit, tmp_path: Path):
    folder = write(vit, tmp_path / "my-vit")
    planned = open_teacher(f"hf:{folder}").spec
    write(vit, tmp_path / "my-vit", processor={**PROCESSOR, "do_crop_margin": True})
    again = reopen_teacher(planned, device="cpu", weights=folder)
    assert again.spec == planned
