"""Donut's encoder: transformers' layout, the authors' layout, both normalisations."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from kdcache.errors import Mismatch, UsageError
from kdcache.signals.shown import Shown
from kdcache.teachers.families.donut.tower import SwinShape, build, stride_of
from kdcache.teachers.loading.sizes import family_facts
from kdcache.teachers.registry import open_teacher
from kdcache.views.recipe import Plain, Shrink

SHAPE = SwinShape(depths=(2, 2, 4, 2), width=8, heads=(2, 2, 4, 4), window=2, patch=4)
CANVAS = (192, 128)
HALF, IMAGENET = (0.5, 0.5, 0.5), (0.485, 0.456, 0.406)
STAGES = ["stage1", "stage2", "stage3", "stage4"]
SIGNALS = ["features", "embedding", *STAGES]


@pytest.fixture
def encoder(randomised) -> Any:
    return randomised(build(SHAPE.config(), CANVAS))


@pytest.fixture
def whole_folder(encoder, tmp_path: Path) -> Path:
    """A VisionEncoderDecoderModel with a small decoder, as the published checkpoints are laid out."""
    from transformers import MBartConfig, MBartForCausalLM, VisionEncoderDecoderModel

    decoder = MBartForCausalLM(
        MBartConfig(
            vocab_size=32,
            d_model=64,
            decoder_layers=1,
            encoder_layers=1,
            decoder_attention_heads=2,
            decoder_ffn_dim=16,
            max_position_embeddings=16,
            is_decoder=True,
            add_cross_attention=True,
        )
    )
    VisionEncoderDecoderModel(encoder=encoder, decoder=decoder).save_pretrained(tmp_path)
    processor = {"image_processor_type": "DonutImageProcessor", "size": {"height": 192, "width": 128}}
    processor |= {"image_mean": HALF, "image_std": HALF, "do_align_long_axis": False}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    return tmp_path


def test_a_whole_published_checkpoint(encoder, whole_folder, pixels, normal):
    teacher = open_teacher("donut", weights=str(whole_folder), signals=SIGNALS)
    preprocess = teacher.spec.preprocess
    assert teacher.spec.size == "custom"
    assert (preprocess.size, preprocess.geometry.fit, preprocess.mean, preprocess.std) == (CANVAS, "pad", HALF, HALF)
    published = family_facts("donut").sizes["base"].preprocess.geometry
    if transformers.__version__ < "5":  # its own thumbnails are others
        published = published.model_copy(update={"shrink": Shrink(interpolation="bicubic", sides="floor", gap=2.0)})
    assert preprocess.geometry == published
    views = pixels(2, CANVAS)
    with torch.no_grad():
        out = encoder(normal(views, HALF, HALF), output_hidden_states=True)
    emitted = teacher.emit(Shown(views))
    torch.testing.assert_close(emitted["features"], out.last_hidden_state, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(emitted["embedding"], out.pooler_output, rtol=1e-4, atol=1e-4)
    for stage, hidden in zip(STAGES, out.hidden_states[1:], strict=True):
        torch.testing.assert_close(emitted[stage], hidden, rtol=1e-4, atol=1e-4)
    grids = [teacher.spec.signal(name).grid for name in ["features", *STAGES]]
    assert grids == [(6, 4), (24, 16), (12, 8), (6, 4), (6, 4)]


def test_an_encoder_alone_says_the_same(encoder, whole_folder, pixels, tmp_path: Path):
    encoder.save_pretrained(tmp_path / "alone")
    views = pixels(1, CANVAS)
    alone = open_teacher("donut", weights=str(tmp_path / "alone"), signals=["features"])
    whole = open_teacher("donut", weights=str(whole_folder), signals=["features"])
    assert torch.equal(alone.emit(Shown(views))["features"], whole.emit(Shown(views))["features"])


@pytest.fixture
def authors(randomised) -> Any:
    """timm's Swin with the numbers of SHAPE: what the authors wrap."""
    from timm.models.swin_transformer import SwinTransformer

    return randomised(
        SwinTransformer(
            img_size=CANVAS,
            patch_size=4,
            embed_dim=8,
            depths=SHAPE.depths,
            num_heads=SHAPE.heads,
            window_size=SHAPE.window,
            num_classes=0,
        )
    )


def write_authors(network: Any, folder: Path, *, settings: bool = True, align: bool = False) -> None:
    """As the authors saved it: timm of that time put a stage's downsampling at its end, today's puts it at the next's start."""

    def older(name: str) -> str:
        found = re.fullmatch(r"layers\.(\d+)\.downsample\.(.+)", name)
        return f"encoder.model.layers.{int(found[1]) - 1}.downsample.{found[2]}" if found else f"encoder.model.{name}"

    tensors = {older(name): value for name, value in network.state_dict().items()}
    tensors["encoder.model.layers.0.blocks.1.attn_mask"] = torch.zeros(1)
    tensors["decoder.model.lm_head.weight"] = torch.zeros(3)
    torch.save(tensors, folder / "pytorch_model.bin")
    if settings:
        content = {"input_size": list(CANVAS), "window_size": SHAPE.window, "encoder_layer": list(SHAPE.depths)}
        content["align_long_axis"] = align
        (folder / "config.json").write_text(json.dumps({"model_type": "donut", **content}))


def test_the_authors_layout_says_what_timm_says(authors, family, pixels, normal, tmp_path: Path):
    family("donut", tiny={**SHAPE.plain(), "size": CANVAS})
    write_authors(authors, tmp_path, settings=False)
    teacher = open_teacher("donut", size="tiny", weights=str(tmp_path), signals=SIGNALS)
    assert teacher.spec.preprocess.mean == IMAGENET
    views = pixels(2, CANVAS)
    with torch.no_grad():
        x = authors.patch_embed(normal(views, IMAGENET, teacher.spec.preprocess.std))
        expected = authors.layers(x).flatten(1, 2)
    torch.testing.assert_close(teacher.emit(Shown(views))["features"], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("align", [False, True])
def test_the_authors_pages_are_prepared_as_their_code_does(align: bool, authors, family, tmp_path: Path):
    """What this geometry does, tests/views/test_plain.py compares with their steps."""
    family("donut", base={**SHAPE.plain(), "size": CANVAS})
    write_authors(authors, tmp_path, align=align)
    geometry = open_teacher("donut", weights=str(tmp_path), signals=["features"]).spec.preprocess.geometry
    thumbnail = Shrink(interpolation="bicubic", sides="nearest", gap=2.0)
    assert geometry == Plain(fit="pad", interpolation="bilinear", turn=align, shrink=thumbnail)


def test_pages_are_turned_where_the_processor_says_so(whole_folder):
    path = whole_folder / "preprocessor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "do_align_long_axis": True}))
    assert open_teacher("donut", weights=str(whole_folder), signals=["features"]).spec.preprocess.geometry.turn


def test_the_authors_configuration_is_read(family, authors, tmp_path: Path):
    wide = {**SHAPE.plain(), "depths": [1, 1, 1, 1], "window": 4}
    family("donut", base={**wide, "size": CANVAS})
    write_authors(authors, tmp_path)
    with pytest.raises(Mismatch, match="--size is base"):
        open_teacher("donut", size="base", weights=str(tmp_path), signals=["features"])


def test_the_normalisation_is_a_choice_and_changes_what_is_said(whole_folder, pixels):
    half = open_teacher("donut", weights=str(whole_folder), signals=["embedding"])
    native = open_teacher("donut", weights=str(whole_folder), signals=["embedding"], normalise="imagenet")
    assert (half.spec.preprocess.mean, native.spec.preprocess.mean) == (HALF, IMAGENET)
    views = pixels(2, CANVAS)
    assert not torch.allclose(half.emit(Shown(views))["embedding"], native.emit(Shown(views))["embedding"])


def test_inputs_must_be_multiples_of_the_stride(whole_folder):
    assert open_teacher("donut", weights=str(whole_folder), signals=["features"], input_size=(64, 96)).spec.signals[
        0
    ].grid == (2, 3)
    with pytest.raises(UsageError, match="multiples of 32"):
        open_teacher("donut", weights=str(whole_folder), signals=["features"], input_size=(100, 96))


@pytest.mark.parametrize("size", [None, "cord"])
def test_a_published_configuration_is_recognised(size: str | None, tmp_path: Path):
    """The published numbers, but tensors of another model: it gets as far as naming the size it took it for."""
    shape = {"depths": [2, 2, 14, 2], "embed_dim": 128, "num_heads": [4, 8, 16, 32], "window_size": 10, "patch_size": 4}
    encoder = {"model_type": "donut-swin", "image_size": [64, 64], **shape}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vision-encoder-decoder", "encoder": encoder}))
    torch.save({"encoder.embeddings.norm.weight": torch.ones(128)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(Mismatch, match=f"do not fit donut {size or 'base'}: "):
        open_teacher("donut", size=size, weights=str(tmp_path), signals=["features"])


def test_settings_left_out_are_transformers_defaults(encoder, whole_folder, pixels):
    path = whole_folder / "config.json"
    settings = json.loads(path.read_text())
    for default in ("patch_size", "mlp_ratio", "qkv_bias", "hidden_act"):
        settings["encoder"].pop(default, None)
    views = pixels(1, CANVAS)
    before = open_teacher("donut", weights=str(whole_folder), signals=["features"]).emit(Shown(views))
    path.write_text(json.dumps(settings))
    after = open_teacher("donut", weights=str(whole_folder), signals=["features"]).emit(Shown(views))
    assert torch.equal(before["features"], after["features"])


def test_other_encoders_are_refused(tmp_path: Path, save):
    save({"encoder.embeddings.cls_token": torch.zeros(1)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"encoder": {"model_type": "vit"}}))
    with pytest.raises(UsageError, match="is a vit, not a donut-swin"):
        open_teacher("donut", weights=str(tmp_path), signals=["features"])


def test_the_published_size_has_the_published_numbers():
    facts = family_facts("donut").sizes["base"]
    shape = SwinShape.from_plain(facts.architecture)
    with torch.device("meta"):
        network = build(shape.config(), facts.preprocess.size)
    assert sum(parameter.numel() for parameter in network.parameters()) == 74_180_728
    assert network.state_dict()["encoder.layers.3.blocks.0.attention.self.relative_position_bias_table"].shape == (
        361,
        32,
    )
    height, width = facts.preprocess.size
    stride = stride_of(shape.config())
    assert (height // stride) * (width // stride) == 4800
    assert network.num_features == 1024
