"""Pixels prepared as a checkpoint's own processor prepares them: bit for bit as transformers' PIL form, or refused by name."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from kdcache.errors import UsageError
from kdcache.networks.pixels import normalised
from kdcache.signals.teacher import Preprocess
from kdcache.teachers.loading.processor import from_processor, from_settings
from kdcache.teachers.loading.processor_geometry import CONVNEXT_WHOLE, FITTED, TORCH_ONLY, cropped
from kdcache.views import Drawn, apply

SHORT = {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}, "do_center_crop": True}
# Small sizes, so that hundreds of images are resized in a second; the numbers that matter are odd or have no common divisor.
CONFIGS: dict[str, dict[str, Any]] = {
    "CLIP": {"image_processor_type": "CLIPImageProcessor", **SHORT},
    "CLIP as OpenAI's were written": {"feature_extractor_type": "CLIPFeatureExtractor", "size": 32, "crop_size": 32},
    "CLIP, odd": {"image_processor_type": "CLIPImageProcessorFast", **SHORT, "size": {"shortest_edge": 37}},
    "Florence-2": {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"height": 48, "width": 48},
        "crop_size": {"height": 48, "width": 48},
        "do_center_crop": False,
        "do_convert_rgb": None,
        "image_seq_length": 577,
        "auto_map": {"AutoProcessor": "processing_florence2.Florence2Processor"},
    },
    "ChineseCLIP": {"image_processor_type": "ChineseCLIPImageProcessor", **SHORT},
    "ViT": {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 24}},
    "ViT, one number": {"feature_extractor_type": "ViTFeatureExtractor", "size": 32, "resample": 2},
    "DeiT": {
        "image_processor_type": "DeiTImageProcessor",
        "size": {"height": 37, "width": 37},
        "crop_size": {"height": 32, "width": 32},
    },
    "BEiT": {
        "image_processor_type": "BeitImageProcessor",
        "size": 32,
        "crop_size": 32,
        "do_center_crop": True,
        "reduce_labels": False,
    },
    "Siglip": {"image_processor_type": "SiglipImageProcessor", "size": {"height": 32, "width": 32}},
    "BiT, DINOv2": {"image_processor_type": "BitImageProcessor", **SHORT, "size": {"shortest_edge": 41}},
    "Blip": {"image_processor_type": "BlipImageProcessor", "size": {"height": 32, "width": 32}},
    "ConvNeXT, cut": {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 31}, "crop_pct": 0.9},
    "ConvNeXT, squashed": {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": CONVNEXT_WHOLE}},
    "EfficientNet": {
        "image_processor_type": "EfficientNetImageProcessor",
        "size": {"height": 37, "width": 37},
        "crop_size": {"height": 32, "width": 32},
        "do_center_crop": True,
        "resample": 0,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.47853944, 0.4732864, 0.47434163],
    },
    "EfficientNet, offset": {
        "image_processor_type": "EfficientNetImageProcessor",
        "size": {"height": 32, "width": 32},
        "rescale_factor": 1 / 127.5,
        "rescale_offset": True,
        "include_top": False,
    },
    "LeViT": {"image_processor_type": "LevitImageProcessor", "size": {"shortest_edge": 33}, "crop_size": 32},
    "MobileNetV1": {"image_processor_type": "MobileNetV1ImageProcessor", **SHORT, "resample": 2},
    "MobileNetV2": {"image_processor_type": "MobileNetV2ImageProcessor", **SHORT, "resample": 1},
    "PoolFormer": {"image_processor_type": "PoolFormerImageProcessor", "size": 31, "crop_size": 32, "crop_pct": 0.9},
    "PoolFormer, both sides": {
        "image_processor_type": "PoolFormerImageProcessor",
        "size": {"height": 40, "width": 20},
        "crop_size": {"height": 40, "width": 20},
        "crop_pct": 0.8,
    },
    "PVT": {"image_processor_type": "PvtImageProcessor", "size": {"height": 32, "width": 32}},
    "SegFormer": {
        "image_processor_type": "SegformerImageProcessor",
        "size": {"height": 32, "width": 32},
        "do_reduce_labels": True,
    },
    "DPT": {"image_processor_type": "DPTImageProcessor", "size": {"height": 64, "width": 32}, "ensure_multiple_of": 32},
    "Donut": {"image_processor_type": "DonutImageProcessor", "size": {"height": 64, "width": 48}},
    "Donut as it was published": {
        "feature_extractor_type": "DonutFeatureExtractor",
        "size": [48, 64],
        "do_align_long_axis": False,
        "do_thumbnail": True,
        "do_pad": True,
        "resample": 2,
    },
    "Donut, turned": {
        "image_processor_type": "DonutImageProcessor",
        "size": {"height": 64, "width": 47},
        "do_align_long_axis": True,
    },
    "Donut, across": {
        "image_processor_type": "DonutImageProcessor",
        "size": {"height": 47, "width": 64},
        "do_align_long_axis": True,
        "resample": 3,
    },
    "Donut, nearest": {
        "image_processor_type": "DonutImageProcessor",
        "size": {"height": 64, "width": 48},
        "resample": 0,
    },
    "not normalised": {"image_processor_type": "ViTImageProcessor", "size": 32, "do_normalize": False},
    "not rescaled": {"image_processor_type": "ViTImageProcessor", "size": 32, "do_rescale": False},
    "one mean": {"image_processor_type": "ViTImageProcessor", "size": 32, "image_mean": 0.4, "image_std": 0.3},
}
V4 = transformers.__version__ < "5"
if V4:
    # Its ChineseCLIP fails at sizes by the shorter side, and BEiT warns of a setting of old files.
    for name in ("ChineseCLIP", "BEiT"):
        del CONFIGS[name]
SHAPES = [(48, 64), (64, 48), (32, 32), (33, 50), (1, 1), (1, 40), (40, 1), (7, 200), (301, 9), (120, 121), (500, 333)]


def picture(height: int, width: int) -> NDArray[np.uint8]:
    """Noise on a slope: every rounding shows."""
    noise = np.random.default_rng(height * 10_000 + width).integers(0, 80, (height, width, 3))
    slope = (np.arange(height)[:, None] * 3 + np.arange(width)[None] * 5) % 176
    return (noise + slope[..., None]).astype(np.uint8)


def folder_of(config: dict[str, Any], folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "preprocessor_config.json").write_text(json.dumps(config))
    return folder


def theirs(folder: Path) -> Any:
    """transformers' own, in its PIL form."""
    form: dict[str, Any] = {"use_fast": False} if V4 else {"backend": "pil"}
    return transformers.AutoImageProcessor.from_pretrained(folder, **form)


def pixels_of(processor: Any, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What a processor has before it scales and normalises."""
    off: dict[str, Any] = {"do_rescale": False, "do_normalize": False} | (
        {"include_top": False} if hasattr(processor, "include_top") else {}
    )
    off["input_data_format"] = "channels_last"  # transformers 4 takes a picture one pixel high for three channels
    return np.asarray(processor(Image.fromarray(image), **off)["pixel_values"][0]).transpose(1, 2, 0)


def seen(preprocess: Preprocess, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return apply(image, Drawn(plain=preprocess.geometry), preprocess.size)


def input_of(preprocess: Preprocess, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    mean, std = (torch.tensor(three).view(1, 3, 1, 1) for three in (preprocess.mean, preprocess.std))
    return normalised(torch.from_numpy(pixels)[None], mean, std)[0].numpy()


@pytest.mark.parametrize("name", CONFIGS)
def test_pixels_are_bit_for_bit_those_of_the_processor(name: str, tmp_path: Path):
    folder = folder_of(CONFIGS[name], tmp_path / "model")
    processor, preprocess = theirs(folder), from_processor(folder, "it")
    for height, width in SHAPES:
        image = picture(height, width)
        assert np.array_equal(seen(preprocess, image), pixels_of(processor, image)), (height, width)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_network_sees_the_same_numbers(name: str, tmp_path: Path):
    folder = folder_of(CONFIGS[name], tmp_path / "model")
    processor, preprocess = theirs(folder), from_processor(folder, "it")
    image = picture(61, 40)
    expected = np.asarray(processor(Image.fromarray(image))["pixel_values"][0])
    largest = max(1.0, float(np.abs(expected).max()))
    assert np.abs(input_of(preprocess, seen(preprocess, image)) - expected).max() <= 1e-6 * largest


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Preprocess]]:
    folders = {name: folder_of(config, tmp_path_factory.mktemp("model")) for name, config in CONFIGS.items()}
    return {name: (theirs(folder), from_processor(folder, "it")) for name, folder in folders.items()}


@given(st.sampled_from(sorted(set(CONFIGS) - {"ConvNeXT, squashed"})), st.integers(1, 260), st.integers(1, 260))
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_shape_of_the_image(opened, name: str, height: int, width: int):
    processor, preprocess = opened[name]
    if name.startswith("Donut") and max(height, width) >= 47 * min(height, width):
        return  # their side would be rounded down to nothing, which transformers does not survive
    image = picture(height, width)
    assert np.array_equal(seen(preprocess, image), pixels_of(processor, image))


@pytest.mark.parametrize(
    ("config", "shapes"),
    [
        ({"image_processor_type": "CLIPImageProcessor"}, [(333, 500), (800, 450), (224, 226)]),
        ({"image_processor_type": "DonutImageProcessor", "do_align_long_axis": True}, [(1100, 1700), (900, 410)]),
    ],
    ids=["CLIP", "Donut"],
)
def test_published_sizes(config: dict[str, Any], shapes: list[tuple[int, int]], tmp_path: Path):
    folder = folder_of(config, tmp_path / "model")
    processor, preprocess = theirs(folder), from_processor(folder, "it")
    for shape in shapes:
        assert np.array_equal(seen(preprocess, picture(*shape)), pixels_of(processor, picture(*shape))), shape


def test_every_known_processor_is_tested_here():
    tested = {
        config.get("image_processor_type", "CLIPImageProcessor").removesuffix("Fast") for config in CONFIGS.values()
    }
    left_out = {"ChineseCLIPImageProcessor", "BeitImageProcessor"} if V4 else set()
    assert set(FITTED) == tested | set(TORCH_ONLY) | left_out


def test_the_documentation_lists_what_is_known():
    page = (Path(__file__).parents[2] / "docs" / "preprocessing.md").read_text()
    assert set(re.findall(r"`(\w+ImageProcessor)`", page)) == set(FITTED)


def test_a_processor_without_a_pil_form_is_a_grey_level_away(tmp_path: Path):
    config = {"image_processor_type": "DINOv3ViTImageProcessorFast", "size": {"height": 32, "width": 48}}
    folder = folder_of(config, tmp_path / "model")
    preprocess = from_processor(folder, "it")
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    for height, width in SHAPES:
        expected = processor(Image.fromarray(picture(height, width)), return_tensors="pt")["pixel_values"][0].numpy()
        ours = input_of(preprocess, seen(preprocess, picture(height, width)))
        levels = np.abs(ours - expected) * 255 * np.array(preprocess.std)[:, None, None]
        assert levels.max() <= 1.5, (height, width)


def test_donuts_thumbnail_was_coarser_before_transformers_5():
    """Its processor of release 4 first reduces by whole numbers, so long receipts differ."""
    content = {"image_processor_type": "DonutImageProcessor", "size": {"height": 64, "width": 48}, "resample": 2}
    content |= {"do_resize": True, "do_thumbnail": True, "do_pad": True, "do_rescale": True, "rescale_factor": 1 / 255}
    content |= {"do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    now, before = from_settings(content, "x"), from_settings(content, "x", gap=2.0)
    assert [one.geometry.shrink.plain()["gap"] for one in (now, before) if one.geometry.shrink] == [None, 2.0]
    page, receipt = picture(120, 90), picture(900, 90)
    assert np.array_equal(seen(now, page), seen(before, page))
    assert not np.array_equal(seen(now, receipt), seen(before, receipt))


VIT = {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}}
CLIP = {"image_processor_type": "CLIPImageProcessor", **SHORT}
DONUT = {"image_processor_type": "DonutImageProcessor", "size": {"height": 64, "width": 48}}
THUMBNAIL = {"do_thumbnail": True, "do_align_long_axis": False, "do_pad": True}


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({**VIT, "image_processor_type": "NougatImageProcessor"}, "image_processor_type is 'NougatImageProcessor'"),
        ({**VIT, "image_processor_type": "Swin2SRImageProcessor"}, "Swin2SRImageProcessor"),
        ({**VIT, "image_processor_type": ["ViT"]}, "image_processor_type"),
        ({"image_processor_type": "MobileViTImageProcessor"}, "MobileViTImageProcessor"),
        ({**VIT, "do_crop_margin": True}, "do_crop_margin is True"),
        ({**VIT, "do_pad": True}, "do_pad is True"),
        ({**VIT, "sharpen": 3}, "sharpen is 3"),
        ({**VIT, "to_dict": 3}, "cannot read it|to_dict is 3"),
        ({**VIT, "auto_map": 7}, "cannot read it"),
        ({"auto_map": {"AutoImageProcessor": "theirs.Processor"}, "size": 32}, "cannot read it"),
        ({**VIT, "resample": 4}, "resample is 4"),
        ({**VIT, "resample": 5}, "resample is 5"),
        ({**VIT, "do_resize": False}, "do_resize is False"),
        ({**VIT, "rescale_factor": -1.0}, "rescale_factor is -1.0"),
        ({**VIT, "image_std": [0.5, 0.0, 0.5]}, "image_std"),
        ({**VIT, "image_std": [0.5, 0.5]}, "image_std"),
        ({**VIT, "image_mean": "grey"}, "image_mean|cannot read"),
        ({**VIT, "size": {"longest_edge": 32}}, "size is"),
        ({**VIT, "size": {"height": 1 << 40, "width": 32}}, "size is"),
        ({**VIT, "size": {"height": -32, "width": 32}}, "size is|cannot read"),
        ({**VIT, "size": "large"}, "size is|cannot read"),
        ({**CLIP, "do_center_crop": False}, "without do_center_crop"),
        ({**CLIP, "size": {"shortest_edge": 36, "longest_edge": 50}}, "size is"),
        ({**CLIP, "crop_size": {"height": 40, "width": 40}}, "larger than"),
        ({**CLIP, "crop_size": {"height": 32, "width": 24}}, "not a square"),
        ({**VIT, "do_center_crop": True, "crop_size": {"height": 32, "width": 24}}, "changes the ratio"),
        ({**VIT, "image_processor_type": "SegformerImageProcessor", "do_center_crop": True}, "do_center_crop"),
        ({**VIT, "image_processor_type": "DPTImageProcessor", "keep_aspect_ratio": True}, "keep_aspect_ratio is True"),
        ({**VIT, "image_processor_type": "DPTImageProcessor", "ensure_multiple_of": 14}, "ensure_multiple_of"),
        (
            {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 31}, "crop_pct": 2.0},
            "crop_pct",
        ),
        ({**DONUT, "do_thumbnail": False}, "do_thumbnail is False"),
        ({**DONUT, "do_pad": False}, "do_pad is False"),
        ({**DONUT, "random_padding": True}, "random_padding is True"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_kd_does_not_know_is_refused_by_name(config: dict[str, Any], named: str, tmp_path: Path):
    with pytest.raises(UsageError, match=f"does not support the preprocessing of .*: .*({named})"):
        from_processor(folder_of(config, tmp_path / "model"), "it")


def test_switches_that_are_off_change_nothing(tmp_path: Path):
    more = {"do_crop_margin": False, "do_pad": None, "do_reduce_labels": True, "pad_size": None, "processor_class": "X"}
    plain = from_processor(folder_of(VIT, tmp_path / "a"), "it")
    assert from_processor(folder_of({**VIT, **more}, tmp_path / "b"), "it") == plain


@given(st.integers(1, 1100), st.integers(0, 300))
@settings(max_examples=400, deadline=None)
def test_any_cut_of_any_edge_comes_out_as_it_was_asked_for(part: int, more: int):
    assert math.floor(part / cropped(part, part + more, "bicubic").crop_pct) == part + more


def test_a_processor_beside_a_processor_of_text_is_found(tmp_path: Path):
    (tmp_path / "processor_config.json").write_text(
        json.dumps({"image_processor": CLIP, "processor_class": "CLIPProcessor"})
    )
    assert from_processor(tmp_path, "it").geometry.cut == "floor"


@pytest.mark.parametrize("kind", ["CLIPImageProcessor", "DonutImageProcessor"])
def test_transformers_4_is_asked_for_its_slow_form(kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Release 4 knows no backends: one class a processor, which writes its settings a little otherwise."""
    own = {"CLIPImageProcessor": CLIP | {"do_convert_rgb": True}, "DonutImageProcessor": DONUT | THUMBNAIL}[kind]
    wrote = {
        "_valid_processor_keys": ["images"],
        "resample": 3,
        "do_resize": True,
        "do_normalize": True,
        "do_rescale": True,
    }
    wrote |= {"rescale_factor": 1 / 255, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, **own}
    slow = type(kind, (), {"to_dict": lambda _: wrote})()
    asked: list[dict[str, Any]] = []

    def from_pretrained(_folder: Path, **how: Any) -> Any:
        asked.append(how)
        return slow

    monkeypatch.setattr("kdcache.teachers.loading.processor.find_spec", lambda _: None)
    monkeypatch.setattr("transformers.AutoImageProcessor.from_pretrained", from_pretrained)
    geometry = from_processor(folder_of({"image_processor_type": kind}, tmp_path / "model"), "it").geometry
    assert asked == [{"trust_remote_code": False, "use_fast": False}]
    assert (geometry.cut, geometry.shrink and geometry.shrink.gap) == (
        ("floor", None) if kind == "CLIPImageProcessor" else ("once", 2.0)
    )
