"""Florence-2's towers: one network, three layouts, and the sizes that were published."""

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from timm.models.davit import _convert_florence2

from kdcache.errors import Mismatch, UsageError
from kdcache.signals.shown import Shown
from kdcache.teachers.families.florence.tower import DavitShape, timm_name, window_for
from kdcache.teachers.heads.heads import Head, save_head
from kdcache.teachers.loading.sizes import family_facts
from kdcache.teachers.registry import open_teacher
from kdcache.views.recipe import Plain

TINY = {"depths": [1, 1, 2, 1], "dims": [8, 16, 24, 32], "heads": [2, 2, 3, 4], "window": 7, "size": (224, 224)}
SIGNALS = ["features", "embedding"]


@pytest.fixture
def tower(randomised) -> Any:
    shape = {key: value for key, value in TINY.items() if key != "size"}
    return randomised(DavitShape.from_plain(shape).build())


def expected_of(tower: Any, views: torch.Tensor, normal: Any) -> torch.Tensor:
    preprocess = family_facts("florence").sizes["base"].preprocess
    with torch.no_grad():
        return tower.forward_features(normal(views, preprocess.mean, preprocess.std))


def check_says(teacher: Any, expected: torch.Tensor, views: torch.Tensor) -> None:
    emitted = teacher.emit(Shown(views))
    torch.testing.assert_close(emitted["features"], expected.flatten(2).transpose(1, 2), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(emitted["embedding"], expected.mean((2, 3)), rtol=1e-4, atol=1e-4)
    assert teacher.spec.signal("features").grid == (7, 7)


def test_timms_layout(tower, family, save, pixels, normal, tmp_path: Path):
    family("florence", tiny=dict(TINY))
    path = save(tower.state_dict(), tmp_path / "davit.safetensors")
    teacher = open_teacher("florence", weights=str(path), signals=SIGNALS)
    assert teacher.spec.size == "tiny"
    views = pixels(2, (224, 224))
    check_says(teacher, expected_of(tower, views, normal), views)


def microsofts_name(name: str) -> str:
    """timm -> microsoft/Florence-2-*, written down here independently of how it is read."""
    parts = name.split(".")
    if parts[0] == "stem":
        return f"vision_tower.convs.0.{'proj' if parts[1] == 'conv' else 'norm'}.{parts[-1]}"
    if parts[2] == "downsample":
        return f"vision_tower.convs.{parts[1]}.{'proj' if parts[3] == 'conv' else 'norm'}.{parts[-1]}"
    _, stage, _, block, kind, *inner = parts
    attention = "window_attn" if kind == "spatial_block" else "channel_attn"
    words = {
        "cpe1.proj": "conv1.fn.dw",
        "cpe2.proj": "conv2.fn.dw",
        "norm1": f"{attention}.norm",
        "norm2": "ffn.norm",
        "attn.qkv": f"{attention}.fn.qkv",
        "attn.proj": f"{attention}.fn.proj",
        "mlp.fc1": "ffn.fn.net.fc1",
        "mlp.fc2": "ffn.fn.net.fc2",
    }
    return f"vision_tower.blocks.{stage}.{block}.{kind}.{words['.'.join(inner[:-1])]}.{inner[-1]}"


def test_microsofts_layout(tower, family, pixels, normal, tmp_path: Path):
    family("florence", tiny=dict(TINY))
    tensors = {microsofts_name(name): value.half() for name, value in tower.state_dict().items()}
    timms_reading = _convert_florence2(tensors, None)
    assert timms_reading.keys() == tower.state_dict().keys(), "this test's idea of the layout is timm's"
    tensors["language_model.model.shared.weight"] = torch.zeros(3)
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    teacher = open_teacher("florence", weights=str(tmp_path), signals=SIGNALS)
    views = pixels(2, (224, 224))
    tower.load_state_dict(timms_reading)
    check_says(teacher, expected_of(tower, views, normal), views)


def florence2(config: dict[str, Any], whole: bool) -> Any:
    from transformers import Florence2Config, Florence2ForConditionalGeneration
    from transformers.models.florence2.configuration_florence2 import Florence2VisionConfig
    from transformers.models.florence2.modeling_florence2 import Florence2VisionBackbone

    vision = Florence2VisionConfig(**config, projection_dim=16)
    if not whole:
        return Florence2VisionBackbone(vision)
    text = {"vocab_size": 64, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2}
    text |= {"decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "model_type": "bart"}
    text |= {"max_position_embeddings": 16, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    return Florence2ForConditionalGeneration(
        Florence2Config(vision_config=vision.to_dict(), text_config=text, image_token_id=5)
    )


@pytest.mark.parametrize("whole", [True, False])
def test_transformers_layout_with_its_own_configuration(whole, randomised, pixels, normal, tmp_path: Path):
    config = {
        "embed_dim": [8, 16, 24, 32],
        "num_heads": [2, 2, 3, 4],
        "num_groups": [2, 2, 3, 4],
        "depths": [1, 1, 2, 1],
    }
    model = randomised(florence2({**config, "window_size": 7}, whole))
    model.save_pretrained(tmp_path)
    teacher = open_teacher("florence", weights=str(tmp_path), signals=SIGNALS, input_size=224)
    assert teacher.spec.size == "custom"
    preprocess = teacher.spec.preprocess
    views = pixels(2, (224, 224))
    backbone = model.model.vision_tower if whole else model
    with torch.no_grad():
        out = backbone(normal(views, preprocess.mean, preprocess.std))
    expected = getattr(out, "last_hidden_state", out)  # transformers 4 hands out the map itself
    check_says(teacher, expected, views)


def test_a_folder_with_a_processor_is_prepared_as_it_says(randomised, tmp_path: Path):
    shape = {
        "embed_dim": [8, 16, 24, 32],
        "num_heads": [2, 2, 3, 4],
        "num_groups": [2, 2, 3, 4],
        "depths": [1, 1, 2, 1],
    }
    randomised(florence2({**shape, "window_size": 7}, True)).save_pretrained(tmp_path)
    processor = {"image_processor_type": "CLIPImageProcessor", "size": {"height": 224, "width": 224}, "resample": 2}
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps({**processor, "do_center_crop": False}))
    preprocess = open_teacher("florence", weights=str(tmp_path), signals=SIGNALS).spec.preprocess
    assert (preprocess.size, preprocess.geometry) == ((224, 224), Plain(fit="squash", interpolation="bilinear"))
    path.write_text(json.dumps({**processor, "do_center_crop": False, "do_pad": True}))
    with pytest.raises(UsageError, match="do_pad is True"):
        open_teacher("florence", weights=str(tmp_path), signals=SIGNALS)


def test_a_fine_tuned_timm_tower_brings_its_head(family, randomised, save, pixels, normal, tmp_path: Path):
    from timm.models.davit import DaVit

    family("florence", tiny=dict(TINY))
    network = randomised(
        DaVit(
            depths=(1, 1, 2, 1),
            embed_dims=(8, 16, 24, 32),
            num_heads=(2, 2, 3, 4),
            window_size=7,
            down_kernel_size=3,
            channel_attn_v2=True,
            named_blocks=True,
            num_classes=5,
        )
    )
    path = save(network.state_dict(), tmp_path / "w.safetensors")
    teacher = open_teacher("florence", weights=str(path), classes=list("abcde"))
    views, preprocess = pixels(2, (224, 224)), teacher.spec.preprocess
    with torch.no_grad():
        expected = network(normal(views, preprocess.mean, preprocess.std))
    torch.testing.assert_close(teacher.emit(Shown(views))["logits"], expected, rtol=1e-4, atol=1e-4)
    assert teacher.spec.head is None
    assert teacher.spec.classes == tuple("abcde")


def test_a_fitted_head_gives_logits(tower, family, save, pixels, tmp_path: Path):
    family("florence", tiny=dict(TINY))
    weights = str(save(tower.state_dict(), tmp_path / "w.safetensors"))
    plain = open_teacher("florence", weights=weights, signals=["embedding"])
    head = Head(torch.randn(3, 32), torch.randn(3), classes=("a", "b", "c"))
    path = tmp_path / "head.safetensors"
    save_head(head, path, teacher=plain.spec, dataset="d", fingerprint="f")
    teacher = open_teacher("florence", weights=weights, head=str(path), signals=["logits", "features"])
    views = pixels(2, (224, 224))
    torch.testing.assert_close(teacher.emit(Shown(views))["logits"], head(plain.emit(Shown(views))["embedding"]))
    assert list(teacher.emit(Shown(views))) == ["logits", "features"]


@pytest.mark.parametrize(("size", "window"), [(768, 12), (512, 8), (384, 12), (256, 8), (224, 7), (320, 10)])
def test_the_window_divides_the_grid(size: int, window: int):
    assert window_for((size, size), 12) == window


@pytest.mark.parametrize("size", [(300, 300), (416, 416), (768, 416)])
def test_an_input_no_window_fits_is_refused(size: tuple[int, int]):
    with pytest.raises(UsageError, match="no window"):
        window_for(size, 12)


def test_another_input_size_changes_the_window_and_the_taps(tower, family, save, tmp_path: Path):
    family("florence", tiny=dict(TINY))
    path = str(save(tower.state_dict(), tmp_path / "w.safetensors"))
    teacher = open_teacher("florence", weights=path, signals=["features"], input_size=(192, 384))
    assert teacher.spec.signal("features").grid == (6, 12)
    assert "windows of 6" in teacher.spec.taps["features"]


def test_tensors_left_over_or_of_another_size_are_refused(tower, family, save, tmp_path: Path):
    family("florence", tiny=dict(TINY))
    tensors = tower.state_dict()
    tensors["stages.0.blocks.0.spatial_block.gamma"] = torch.zeros(1)
    with pytest.raises(Mismatch, match=r"unexpected .*gamma"):
        open_teacher("florence", weights=str(save(tensors, tmp_path / "w.safetensors")), signals=SIGNALS)
    path = save(tower.state_dict(), tmp_path / "v.safetensors")
    with pytest.raises(Mismatch, match="--size is base, but the checkpoint is florence tiny"):
        open_teacher("florence", size="base", weights=str(path), signals=SIGNALS)


def test_a_file_without_a_head_says_no_logits(tower, family, save, tmp_path: Path):
    family("florence", tiny=dict(TINY))
    with pytest.raises(UsageError, match="cannot emit 'logits'; it can emit features, embedding") as caught:
        open_teacher("florence", weights=str(save(tower.state_dict(), tmp_path / "w.safetensors")))
    assert "kd teacher fit-head" in str(caught.value.hint)


def test_a_tower_of_no_published_size_must_bring_its_configuration(tower, save, tmp_path: Path):
    with pytest.raises(UsageError, match=r"\(8, 16, 24, 32\).* matches no published size .base, huge") as caught:
        open_teacher("florence", weights=str(save(tower.state_dict(), tmp_path / "w.safetensors")), signals=SIGNALS)
    assert "config.json" in str(caught.value.hint)
    with pytest.raises(UsageError, match="no DaViT tower"):
        open_teacher("florence", weights=str(save({"a": torch.zeros(1)}, tmp_path / "a.safetensors")), signals=SIGNALS)


@pytest.mark.parametrize(
    ("size", "name", "millions", "dim"), [("base", "davit_base_fl", 90.4, 1024), ("huge", "davit_huge_fl", 360.6, 2048)]
)
def test_the_sizes_are_timms(size: str, name: str, millions: float, dim: int):
    facts = family_facts("florence").sizes[size]
    with torch.device("meta"):
        ours = DavitShape.from_plain(facts.architecture).build()
        theirs = timm.create_model(name)
    shapes = {key: tuple(value.shape) for key, value in theirs.state_dict().items() if not key.startswith("head.")}
    assert {key: tuple(value.shape) for key, value in ours.state_dict().items()} == shapes
    assert round(sum(parameter.numel() for parameter in ours.parameters()) / 1e6, 1) == millions
    assert theirs.num_features == dim
    assert timm.get_pretrained_cfg(f"{name}.msft_florence2").hf_hub_id == facts.hub
    assert tuple(timm.get_pretrained_cfg(f"{name}.msft_florence2").input_size[1:]) == facts.preprocess.size


def test_names_outside_the_tower_stay_as_they_are():
    assert timm_name("image_projection") == "image_projection"


def test_the_configuration_names_what_it_holds(tmp_path: Path, tower, save):
    """Towers whose channel groups differ from their heads cannot be built, and are refused rather than guessed."""
    save({microsofts_name(n): v for n, v in tower.state_dict().items()}, tmp_path / "model.safetensors")
    settings = {"vision_config": {"num_heads": [2, 2, 3, 4], "num_groups": [1, 1, 1, 1], "window_size": 7}}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(UsageError, match="differ"):
        open_teacher("florence", weights=str(tmp_path), signals=SIGNALS, input_size=224)
