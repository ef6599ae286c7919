"""`timm:NAME`: any model, with preprocessing and class names from where timm keeps them."""

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from kdcache.errors import Mismatch, UsageError
from kdcache.signals.shown import Shown
from kdcache.teachers.frozen import FrozenTeacher
from kdcache.teachers.registry import open_teacher
from kdcache.teachers.reopen import reopen_teacher

SIGNALS = ["logits", "embedding", "features"]


@pytest.fixture
def vit(randomised) -> Any:
    return randomised(timm.create_model("test_vit", num_classes=7))


@pytest.fixture
def weights(vit, save, tmp_path: Path) -> str:
    return str(save(vit.state_dict(), tmp_path / "vit.safetensors"))


def test_a_transformer_says_what_timm_says(vit, weights, pixels, normal):
    teacher = open_teacher("timm:test_vit", weights=weights, signals=[*SIGNALS, "blocks.1"])
    preprocess, config = teacher.spec.preprocess, timm.get_pretrained_cfg("test_vit")
    assert preprocess.size == tuple(config.input_size[1:])
    assert (preprocess.mean, preprocess.std) == (config.mean, config.std)
    assert (preprocess.geometry.fit, preprocess.geometry.crop_pct) == ("crop", config.crop_pct)
    assert (preprocess.geometry.interpolation, preprocess.geometry.cut) == (config.interpolation, "round")
    views = pixels(2, preprocess.size)
    with torch.no_grad():
        images = normal(views, preprocess.mean, preprocess.std)
        features = vit.forward_features(images)
        expected = {
            "logits": vit(images),
            "embedding": vit.forward_head(features, pre_logits=True),
            "features": features[:, 1:],
            "blocks.1": vit.forward_intermediates(images, indices=[1], output_fmt="NLC", return_prefix_tokens=True)[1][
                0
            ],
        }
    blocks = expected.pop("blocks.1")
    emitted = teacher.emit(Shown(views))
    for name, values in expected.items():
        torch.testing.assert_close(emitted[name], values, rtol=1e-4, atol=1e-4, msg=name)
    torch.testing.assert_close(emitted["blocks.1"][:, 1:], blocks[0], rtol=1e-4, atol=1e-4)
    assert teacher.spec.signal("features").grid == (10, 10)
    assert teacher.spec.signal("logits").shape == (7,)
    assert teacher.spec.classes is None, "seven logits of a file are of unknown classes"


@pytest.mark.parametrize("name", ["test_resnet", "swin_tiny_patch4_window7_224"])
def test_maps_of_either_memory_order_become_tokens(name: str, pixels, normal):
    teacher = open_teacher(f"timm:{name}", weights="random", signals=["features", "embedding"])
    assert isinstance(teacher, FrozenTeacher)
    network: Any = teacher.network
    preprocess = teacher.spec.preprocess
    views = pixels(1, preprocess.size)
    with torch.no_grad():
        feature_map = network.forward_features(normal(views, preprocess.mean, preprocess.std))
    if name.startswith("swin"):
        feature_map = feature_map.permute(0, 3, 1, 2)
    emitted = teacher.emit(Shown(views))["features"]
    torch.testing.assert_close(emitted, feature_map.flatten(2).transpose(1, 2), rtol=1e-4, atol=1e-4)
    assert teacher.spec.signal("features").grid == tuple(feature_map.shape[-2:])


def test_a_model_without_classes_gets_a_random_head_with_its_random_weights(pixels):
    """So that the cost of logits can be measured before there is a head; the stamp says so."""
    classes = tuple("abcdefg")
    teacher = open_teacher(
        "timm:eva02_tiny_patch14_224", weights="random", signals=["logits"], input_size=(28, 28), offered=classes
    )
    assert teacher.emit(Shown(pixels(2, (28, 28))))["logits"].shape == (2, 7)
    assert teacher.spec.classes == classes
    assert teacher.spec.weights.random
    assert teacher.spec.head is not None
    assert teacher.spec.head.random
    assert reopen_teacher(teacher.spec, device="cpu").spec == teacher.spec


def test_a_hub_folder_brings_configuration_and_class_names(vit, save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save(vit.state_dict(), tmp_path / "model.safetensors")
    config = {**timm.get_pretrained_cfg("test_vit").to_dict(), "mean": [0.1, 0.2, 0.3], "crop_pct": 0.5}
    names = [f"kind {number}" for number in range(7)]
    (tmp_path / "config.json").write_text(json.dumps({"pretrained_cfg": config, "label_names": names}))
    asked: list[str] = []

    def cached(repo: str, **_options: object) -> str:
        asked.append(repo)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", cached)
    teacher = open_teacher("timm:test_vit.r160_in1k")
    assert asked == ["timm/test_vit.r160_in1k"]
    assert teacher.spec.weights.source == "hub:timm/test_vit.r160_in1k"
    assert teacher.spec.preprocess.mean == (0.1, 0.2, 0.3)
    assert teacher.spec.preprocess.geometry.crop_pct == 0.5
    assert teacher.spec.classes == tuple(names)


def test_imagenets_class_names_come_with_published_weights(
    randomised, save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    save(randomised(timm.create_model("test_vit")).state_dict(), tmp_path / "model.safetensors")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_args, **_options: str(tmp_path))
    classes = open_teacher("timm:test_vit.r160_in1k").spec.classes
    assert classes is not None
    assert len(classes) == 1000
    assert classes[3].startswith("tiger shark")


def test_a_configuration_that_says_too_little_is_an_error(vit, save, tmp_path: Path):
    save(vit.state_dict(), tmp_path / "model.safetensors")
    for change, match in (
        ({"mean": None}, "lacks mean"),
        ({"crop_mode": "border"}, "crop_mode is 'border'"),
        ({"interpolation": "random"}, "interpolation is 'random'"),
        ({"crop_pct": 1.5}, r"geometry.crop_pct is 1.5"),
        ({"std": [0.5, "wide", 0.5]}, "std.1 is 'wide'"),
    ):
        config = timm.get_pretrained_cfg("test_vit").to_dict() | change
        (tmp_path / "config.json").write_text(json.dumps({"pretrained_cfg": config}))
        with pytest.raises(UsageError, match=match):
            open_teacher("timm:test_vit", weights=str(tmp_path))


def test_an_unknown_layer_is_told_with_the_nearest(weights):
    with pytest.raises(UsageError, match=r"no layer of this network is called 'block\.1'") as caught:
        open_teacher("timm:test_vit", weights=weights, signals=["block.1"])
    assert "blocks.1" in str(caught.value.hint)


def test_where_layer_names_come_from_is_told(weights):
    with pytest.raises(UsageError) as caught:
        open_teacher("timm:test_vit", weights=weights, signals=["zzzz"])
    assert "patch_embed" in caught.value.hint
    assert "such as patch_embed.proj" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        open_teacher("timm:test_vit", weights=weights, signals=["logit"])
    assert caught.value.hint == "did you mean logits?"


def test_a_model_without_classifier_says_no_logits(vit, save, tmp_path: Path):
    bare = {name: value for name, value in vit.state_dict().items() if not name.startswith("head.")}
    path = str(save(bare, tmp_path / "bare.safetensors"))
    assert open_teacher("timm:test_vit", weights=path, signals=["embedding"]).spec.signals[0].name == "embedding"
    with pytest.raises(UsageError, match="it can emit embedding, features"):
        open_teacher("timm:test_vit", weights=path)


def test_weights_of_another_model_are_refused(weights):
    with pytest.raises(Mismatch, match="do not fit timm's test_resnet"):
        open_teacher("timm:test_resnet", weights=weights)


def test_a_transformer_can_see_another_size(weights, pixels):
    teacher = open_teacher("timm:test_vit", weights=weights, signals=["features"], input_size=(64, 96))
    assert teacher.spec.signal("features").grid == (4, 6)
    assert teacher.emit(Shown(pixels(1, (64, 96))))["features"].shape == (1, 24, 64)


def test_sizes_are_refused():
    with pytest.raises(UsageError, match="has no sizes"):
        open_teacher("timm:test_vit", size="base", weights="random")
