"""CLIP: every layout says what a plain reading of the paper says."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from kdcache.errors import Mismatch, UsageError
from kdcache.signals.shown import Shown
from kdcache.teachers.families.clip.shape import ClipShape
from kdcache.teachers.loading.sizes import family_facts
from kdcache.teachers.registry import open_teacher
from tests.teachers.clip_paper import (
    CLIP_MEAN,
    CLIP_STD,
    DIM,
    IMAGE,
    PATCH,
    SHAPE,
    image_tokens,
    quick_gelu,
    token_ids,
    write_tokenizer,
)

SIGNALS = ["embedding", "features"]


def check_says(teacher: Any, openai: Any, views: torch.Tensor, normal: Any, act: Any = quick_gelu) -> None:
    preprocess = teacher.spec.preprocess
    tokens = image_tokens(openai, normal(views, preprocess.mean, preprocess.std), act)
    emitted = teacher.emit(Shown(views))
    torch.testing.assert_close(emitted["embedding"], tokens[:, 0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(emitted["features"], tokens[:, 1:], rtol=1e-4, atol=1e-4)
    assert teacher.spec.signal("features").grid == (IMAGE // PATCH, IMAGE // PATCH)


def test_open_clips_folder_with_its_own_configuration(openai, open_clip_folder, pixels, normal):
    teacher = open_teacher("clip", weights=str(open_clip_folder), signals=SIGNALS)
    assert teacher.spec.size == "custom"
    assert teacher.spec.preprocess.mean == (0.5, 0.5, 0.5)
    assert teacher.spec.preprocess.geometry.cut == "round", "as torchvision, which open_clip uses"
    check_says(teacher, openai, pixels(2, (IMAGE, IMAGE)), normal)


@pytest.mark.parametrize(
    ("pixels", "fit", "interpolation"),
    [
        ({"resize_mode": "squash", "interpolation": "bilinear", "size": IMAGE}, "squash", "bilinear"),
        ({"interpolation": "random", "mode": "RGB", "size": [IMAGE, IMAGE], "fill_color": 0}, "crop", "bicubic"),
        ({"mean": None, "resize_mode": "longest"}, None, "resize_mode is 'longest'"),
        ({"size": 2 * IMAGE}, None, "size is"),
        ({"interpolation": "nearest"}, None, "interpolation is 'nearest'"),
        ({"std": [0.5, "wide", 0.5]}, None, "std is"),
        ({"colour": "BGR"}, None, "colour is 'BGR'"),
        ({"mode": ["RGB"]}, None, "mode is"),
        (["RGB"], None, "it is"),
    ],
    ids=str,
)
def test_open_clips_way_to_its_pixels(pixels, fit, interpolation, open_clip_folder):
    path = open_clip_folder / "open_clip_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "preprocess_cfg": pixels}))
    if fit is None:
        with pytest.raises(UsageError, match=f"unsupported preprocess_cfg of open_clip: {interpolation}"):
            open_teacher("clip", weights=str(open_clip_folder), signals=SIGNALS)
        return
    geometry = open_teacher("clip", weights=str(open_clip_folder), signals=SIGNALS).spec.preprocess.geometry
    assert (geometry.fit, geometry.interpolation) == (fit, interpolation)


def test_open_clips_plain_gelu_is_told_apart(openai, open_clip_folder, pixels, normal):
    path = open_clip_folder / "open_clip_config.json"
    settings = json.loads(path.read_text())
    del settings["model_cfg"]["quick_gelu"]
    path.write_text(json.dumps(settings))
    teacher = open_teacher("clip", weights=str(open_clip_folder), signals=SIGNALS)
    check_says(teacher, openai, pixels(2, (IMAGE, IMAGE)), normal, F.gelu)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_file_of_openais_names_needs_its_size(wrapped, openai, family, pixels, normal, tmp_path: Path):
    family("clip", tiny={**SHAPE, "size": (IMAGE, IMAGE)})
    extras = {name: torch.tensor(1) for name in ("input_resolution", "context_length", "vocab_size")}
    tensors: dict[str, Any] = {name: value.half() for name, value in openai.items()} | extras
    if wrapped:
        tensors = {"epoch": 3, "state_dict": {f"module.{name}": value for name, value in tensors.items()}}
    torch.save(tensors, tmp_path / "clip.pt")
    with pytest.raises(UsageError, match="does not specify its activation"):
        open_teacher("clip", weights=str(tmp_path / "clip.pt"), signals=SIGNALS)
    teacher = open_teacher("clip", size="tiny", weights=str(tmp_path / "clip.pt"), signals=SIGNALS)
    assert teacher.spec.size == "tiny"
    assert teacher.spec.preprocess.mean == CLIP_MEAN
    assert teacher.spec.preprocess.geometry.cut == "round", "as torchvision, which OpenAI's program uses"
    check_says(teacher, {n: v.half().float() for n, v in openai.items()}, pixels(2, (IMAGE, IMAGE)), normal)


@pytest.fixture
def transformers_model(randomised) -> Any:
    from transformers import CLIPConfig, CLIPModel

    shape = ClipShape.from_plain(SHAPE)
    config = CLIPConfig(
        vision_config=shape.vision_config().to_dict(), text_config=shape.text_config().to_dict(), projection_dim=DIM
    )
    return randomised(CLIPModel(config))


def write_processor(folder: Path, side: int = IMAGE) -> None:
    processor = {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": side},
        "crop_size": {"height": side, "width": side},
        "resample": 3,
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))


def test_transformers_folder(transformers_model, pixels, normal, tmp_path: Path):
    transformers_model.save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="does not specify its preprocessing"):
        open_teacher("clip", weights=str(tmp_path), signals=SIGNALS)
    write_processor(tmp_path)
    write_tokenizer(tmp_path)
    teacher = open_teacher(
        "clip", weights=str(tmp_path), signals=["logits", "embedding"], classes=["cat"], templates=["a {}"]
    )
    views = pixels(2, (IMAGE, IMAGE))
    with torch.no_grad():
        out = transformers_model(pixel_values=normal(views, CLIP_MEAN, CLIP_STD), input_ids=token_ids("a cat"))
        image = transformers_model.get_image_features(normal(views, CLIP_MEAN, CLIP_STD))
    emitted = teacher.emit(Shown(views))
    torch.testing.assert_close(emitted["logits"], out.logits_per_image, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(emitted["embedding"], getattr(image, "pooler_output", image), rtol=1e-4, atol=1e-4)


def test_an_image_tower_alone_has_no_zero_shot(transformers_model, pixels, tmp_path: Path):
    from transformers import CLIPVisionModelWithProjection

    config = transformers_model.config.vision_config
    config.projection_dim = DIM
    tower = CLIPVisionModelWithProjection(config)
    own = {
        n: v
        for n, v in transformers_model.state_dict().items()
        if n.startswith(("vision_model.", "visual_projection."))
    }
    tower.load_state_dict(own)
    tower.save_pretrained(tmp_path / "vision")
    transformers_model.save_pretrained(tmp_path / "whole")
    write_processor(tmp_path / "vision")
    write_processor(tmp_path / "whole")
    views = pixels(2, (IMAGE, IMAGE))
    alone, whole = (open_teacher("clip", weights=str(tmp_path / kind), signals=SIGNALS) for kind in ("vision", "whole"))
    assert all(torch.equal(alone.emit(Shown(views))[name], whole.emit(Shown(views))[name]) for name in SIGNALS)
    with pytest.raises(UsageError, match="cannot emit 'logits'; it can emit embedding, features") as caught:
        open_teacher("clip", weights=str(tmp_path / "vision"), classes=["cat"])
    assert "--head FILE" in str(caught.value.hint)


def test_tinyvits_teacher(openai, pixels, normal, tmp_path: Path):
    visual = {name: value for name, value in openai.items() if name.startswith("visual.")}
    weight, bias = torch.randn(7, DIM), torch.randn(7)
    torch.save({"model": visual | {"head.weight": weight, "head.bias": bias}}, tmp_path / "clip_22k.pth")
    teacher = open_teacher("clip", weights=str(tmp_path / "clip_22k.pth"), signals=["logits", *SIGNALS])
    assert teacher.spec.size == "custom"
    assert teacher.spec.preprocess.size == (IMAGE, IMAGE)
    assert teacher.spec.preprocess.geometry.crop_pct == 0.875
    views = pixels(2, (IMAGE, IMAGE))
    check_says(teacher, openai, views, normal)
    pooled = image_tokens(openai, normal(views, CLIP_MEAN, CLIP_STD))[:, 0]
    torch.testing.assert_close(
        teacher.emit(Shown(views))["logits"], F.linear(pooled, weight, bias), rtol=1e-4, atol=1e-3
    )
    assert teacher.spec.head is None


def test_tensors_no_clip_has_are_refused(openai, open_clip_folder, save):
    save(openai | {"visual.trunk.norm.weight": torch.zeros(2)}, open_clip_folder / "open_clip_model.safetensors")
    with pytest.raises(Mismatch, match=r"visual\.trunk\.norm\.weight"):
        open_teacher("clip", weights=str(open_clip_folder), signals=SIGNALS)
    del openai["visual.transformer.resblocks.1.ln_2.bias"]
    save(openai, open_clip_folder / "open_clip_model.safetensors")
    with pytest.raises(Mismatch, match=r"1 missing \(vision_model\.encoder\.layers\.1\.layer_norm2\.bias\)"):
        open_teacher("clip", weights=str(open_clip_folder), signals=SIGNALS)


def test_a_larger_input_gets_interpolated_positions(open_clip_folder, pixels):
    teacher = open_teacher("clip", weights=str(open_clip_folder), signals=SIGNALS, input_size=(48, 32))
    assert teacher.spec.signal("features").grid == (6, 4)
    assert "interpolated" in teacher.spec.taps["features"]
    with pytest.raises(UsageError, match="patches are 8 pixels"):
        open_teacher("clip", weights=str(open_clip_folder), signals=SIGNALS, input_size=36)


@pytest.mark.parametrize(
    ("size", "tokens", "width", "millions"),
    [("l14", 257, 1024, 303.97), ("l14-22k", 257, 1024, 303.97), ("b16", 197, 768, 86.19)],
)
def test_published_sizes_have_the_published_numbers(size: str, tokens: int, width: int, millions: float):
    from transformers import CLIPVisionModelWithProjection

    shape = ClipShape.from_plain(family_facts("clip").sizes[size].architecture)
    with torch.device("meta"):
        network = CLIPVisionModelWithProjection(shape.vision_config())
    assert network.vision_model.embeddings.position_embedding.weight.shape == (tokens, width)
    assert round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 2) == millions
