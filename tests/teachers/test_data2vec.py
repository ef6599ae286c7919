"""data2vec 2.0: fairseq's checkpoints are read strictly, and the targets are the paper's."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from kdcache.errors import Mismatch, UsageError
from kdcache.networks.data2vec import Data2Vec, fixed_positions, targets
from kdcache.networks.data2vec_shape import Data2VecShape
from kdcache.signals.shown import Shown
from kdcache.teachers.families.data2vec.tower import prepared_for
from kdcache.teachers.loading.sizes import family_facts
from kdcache.teachers.registry import open_teacher

DIM, HEADS, PRENET, DEPTH, TOP, SIDE, PATCH = 16, 2, 1, 4, 3, 4, 8
IMAGE = (SIDE * PATCH, SIDE * PATCH)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PLACE = "modality_encoders.IMAGE."
SIGNALS = ["inputs", "final", "features", "targets", "targets-patches", "cls-layers", "embedding"]


@pytest.fixture
def tensors() -> dict[str, Any]:
    """A small model under fairseq's names, with what pre-training leaves beside it."""
    generator = torch.Generator().manual_seed(0)

    def make(*shape: int) -> torch.Tensor:
        noise = 0.2 * torch.randn(shape, generator=generator)
        return 1 + noise if len(shape) == 1 else noise

    def block(place: str) -> dict[str, torch.Tensor]:
        shapes = {
            "attn.qkv": (3 * DIM, DIM),
            "attn.proj": (DIM, DIM),
            "mlp.fc1": (4 * DIM, DIM),
            "mlp.fc2": (DIM, 4 * DIM),
        }
        linear = {
            f"{place}.{name}.{leaf}": make(*s[: 2 if leaf == "weight" else 1])
            for name, s in shapes.items()
            for leaf in ("weight", "bias")
        }
        return linear | {
            f"{place}.{norm}.{leaf}": make(DIM) for norm in ("norm1", "norm2") for leaf in ("weight", "bias")
        }

    found: dict[str, Any] = {
        f"{PLACE}local_encoder.proj.weight": make(DIM, 3, PATCH, PATCH),
        f"{PLACE}local_encoder.proj.bias": make(DIM),
        f"{PLACE}fixed_positional_encoder.positions": fixed_positions(SIDE, DIM),
        f"{PLACE}extra_tokens": make(1, 1, DIM),
        f"{PLACE}context_encoder.norm.weight": make(DIM),
        f"{PLACE}context_encoder.norm.bias": make(DIM),
        f"{PLACE}decoder.blocks.0.0.weight": make(2, 2),
        f"{PLACE}decoder.proj.bias": make(2),
        "_ema": {"blocks.0.norm1.weight": make(DIM)},
    }
    for number in range(PRENET):
        found |= block(f"{PLACE}context_encoder.blocks.{number}")
    for number in range(DEPTH):
        found |= block(f"blocks.{number}")
    return found


def settings(**more: Any) -> dict[str, Any]:
    return {"_name": "data2vec_multi", "num_heads": HEADS, "average_top_k_layers": TOP, "depth": DEPTH, **more}


def write(tensors: dict[str, Any], path: Path, model: dict[str, Any] | None = None) -> str:
    """As fairseq's trainer saves."""
    extra = {"best": np.float64(0.1), "train_iterator": {"epoch": 3}}
    torch.save({"args": None, "cfg": {"model": model or settings()}, "model": tensors, "extra_state": extra}, path)
    return str(path)


def norm(t: Any, name: str, x: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x, (DIM,), t[f"{name}.weight"], t[f"{name}.bias"], 1e-6)


def block(t: Any, place: str, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The post-norm block in plain words: attend, add, norm; FFN, add, norm. Second: what the FFN said."""
    joint = F.linear(x, t[f"{place}.attn.qkv.weight"], t[f"{place}.attn.qkv.bias"])
    q, k, v = (part.view(len(x), -1, HEADS, DIM // HEADS).transpose(1, 2) for part in joint.split(DIM, dim=2))
    mixed = ((q @ k.transpose(2, 3) * (DIM // HEADS) ** -0.5).softmax(-1) @ v).transpose(1, 2).reshape(x.shape)
    x = norm(t, f"{place}.norm1", x + F.linear(mixed, t[f"{place}.attn.proj.weight"], t[f"{place}.attn.proj.bias"]))
    hidden = F.gelu(F.linear(x, t[f"{place}.mlp.fc1.weight"], t[f"{place}.mlp.fc1.bias"]))
    ffn = F.linear(hidden, t[f"{place}.mlp.fc2.weight"], t[f"{place}.mlp.fc2.bias"])
    return norm(t, f"{place}.norm2", x + ffn), ffn


def reference(t: Any, images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor], torch.Tensor]:
    x = F.conv2d(images, t[f"{PLACE}local_encoder.proj.weight"], t[f"{PLACE}local_encoder.proj.bias"], stride=PATCH)
    x = x.flatten(2).transpose(1, 2) + t[f"{PLACE}fixed_positional_encoder.positions"]
    x = torch.cat([t[f"{PLACE}extra_tokens"].expand(len(x), -1, -1), x], dim=1)
    x = norm(t, f"{PLACE}context_encoder.norm", x)
    for number in range(PRENET):
        x, _ = block(t, f"{PLACE}context_encoder.blocks.{number}", x)
    inputs, layers = x, []
    for number in range(DEPTH):
        x, ffn = block(t, f"blocks.{number}", x)
        layers.append(ffn)
    return inputs, layers, x


def target(layers: list[torch.Tensor]) -> torch.Tensor:
    """Last TOP layers: zero mean and unit variance per channel over tokens, mean over layers, then per token over channels."""
    normed = [(x - x.mean(1, True)) / (x.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt() for x in layers[-TOP:]]
    mean = sum(normed) / TOP
    return (mean - mean.mean(2, True)) / (mean.var(2, unbiased=False, keepdim=True) + 1e-5).sqrt()


def test_every_signal_is_what_the_paper_says(tensors, pixels, normal, tmp_path: Path):
    teacher = open_teacher("data2vec", weights=write(tensors, tmp_path / "d2v.pt"), signals=SIGNALS)
    views = pixels(2, IMAGE)
    inputs, layers, final = reference(tensors, normal(views, MEAN, STD))
    expected = {
        "inputs": inputs,
        "final": final,
        "features": final[:, 1:],
        "targets": target(layers),
        "targets-patches": target([layer[:, 1:] for layer in layers]),
        "cls-layers": torch.stack([layer[:, 0] for layer in layers], dim=1),
        "embedding": final.mean(1),
    }
    emitted = teacher.emit(Shown(views))
    for name in SIGNALS:
        torch.testing.assert_close(emitted[name], expected[name], rtol=1e-4, atol=1e-4, msg=name)
    assert teacher.spec.signal("cls-layers").shape == (DEPTH, DIM)
    assert teacher.spec.signal("targets").shape == (1 + SIDE**2, DIM)
    assert teacher.spec.signal("features").grid == (SIDE, SIDE)
    assert teacher.spec.size == "custom"


def test_targets_stay_float32_under_autocast(tensors, pixels, tmp_path: Path):
    path = write(tensors, tmp_path / "d2v.pt")
    teacher = open_teacher("data2vec", weights=path, signals=["targets"], precision="bfloat16")
    emitted = teacher.emit(Shown(pixels(2, IMAGE)))["targets"]
    torch.testing.assert_close(emitted.var(2, unbiased=False), torch.ones(2, 1 + SIDE**2), rtol=1e-3, atol=1e-3)


def test_the_ema_copy_and_the_decoder_are_dropped(tensors, pixels, tmp_path: Path):
    views = pixels(1, IMAGE)
    full = open_teacher("data2vec", weights=write(tensors, tmp_path / "a.pt"), signals=["final"]).emit(Shown(views))
    bare = {name: value for name, value in tensors.items() if name != "_ema" and ".decoder." not in name}
    without = open_teacher("data2vec", weights=write(bare, tmp_path / "b.pt"), signals=["final"]).emit(Shown(views))
    assert torch.equal(full["final"], without["final"])


@pytest.mark.parametrize("name", [f"{PLACE}extra_tokens_2", "blocks.0.attn.alibi", f"{PLACE}alibi_bias", "norm.weight"])
def test_an_unknown_tensor_is_an_error(name: str, tensors, tmp_path: Path):
    with pytest.raises(Mismatch, match="1 unexpected"):
        open_teacher("data2vec", weights=write(tensors | {name: torch.zeros(1)}, tmp_path / "d.pt"), signals=["final"])


def test_a_stranger_called_like_one_of_ours_replaces_nothing(tensors, tmp_path: Path):
    for name in ("encoder.norm.weight", "classifier.1.bias", "_emable"):
        path = write(tensors | {name: torch.full((DIM,), 7.0)}, tmp_path / "d.pt")
        with pytest.raises(Mismatch, match="1 unexpected"):
            open_teacher("data2vec", weights=path, signals=["final"])
    path = write(tensors | {"blocks.0.norm1.bias": "words"}, tmp_path / "w.pt")
    with pytest.raises(Mismatch, match=r"something else than dense tensors: blocks\.0\.norm1\.bias"):
        open_teacher("data2vec", weights=path, signals=["final"])


def test_a_configuration_that_says_otherwise_is_refused(tensors, tmp_path: Path):
    """What tensors cannot tell is the configuration's to say, and what they tell it must not deny."""

    def opened(**more: Any) -> Any:
        return open_teacher(
            "data2vec", weights=write(tensors, tmp_path / "d.pt", settings(**more)), signals=["targets"]
        )

    with pytest.raises(Mismatch, match=f"has depth {DEPTH + 1}, but its tensors have {DEPTH}"):
        opened(depth=DEPTH + 1)
    with pytest.raises(Mismatch, match=f"has prenet 2, but its tensors have {PRENET}"):
        opened(modalities={"image": {"prenet_depth": 2}})
    with pytest.raises(Mismatch, match=f"targets of the last 9 of {DEPTH} blocks"):
        opened(average_top_k_layers=9)
    with pytest.raises(Mismatch, match="cannot be divided among 3 heads"):
        opened(num_heads=3)
    strangers = {"layer_norm_first": True, "end_of_block_targets": True, "norm_eps": 1e-5, "mlp_ratio": 3}
    for name, value in strangers.items():
        with pytest.raises(Mismatch, match=f"was trained with {name} {value}"):
            opened(**{name: value})
    with pytest.raises(Mismatch, match="was trained with use_alibi_encoder True"):
        opened(modalities={"image": {"use_alibi_encoder": True}})
    usual = {"norm_eps": 1e-6, "layer_norm_first": False, "mlp_ratio": 4.0}
    assert opened(**usual, modalities={"image": {"prenet_depth": PRENET, "num_extra_tokens": 1}}).spec.size == "custom"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (["a"], "its `model` is a list"),
        ({"modalities": torch.ones(2)}, "its `modalities` is a Tensor"),
        ({"norm_eps": torch.ones(2)}, "was trained with norm_eps"),
        ({"modalities": ["a"]}, "its `modalities` is a list"),
        ({"modalities": {"image": "a"}}, "its `image` is a str"),
        ({"pretrained_model_args": "a"}, "its `pretrained_model_args` is a str"),
        ({"pretrained_model_args": {"other": 1}}, "not a published size"),
        ({"num_heads": torch.ones(2)}, "gives a Tensor for heads, which must be a number"),
    ],
)
def test_a_configuration_of_something_else_is_told_in_one_line(model, message, tensors, tmp_path: Path):
    with pytest.raises((Mismatch, UsageError), match=message):
        open_teacher("data2vec", weights=write(tensors, tmp_path / "d.pt", model), signals=["targets"])


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
@pytest.mark.parametrize("bias", [torch.tensor(1.0), [1.0], torch.ones(2).to_sparse(), torch.ones(2, device="meta")])
def test_a_classifier_of_something_else_is_told_in_one_line(bias, tensors, tmp_path: Path):
    tuned = tensors | {"fc_norm.weight": torch.ones(DIM), "fc_norm.bias": torch.ones(DIM)}
    tuned |= {"head.weight": torch.ones(2, DIM), "head.bias": bias}
    with pytest.raises(
        Mismatch, match=r"has no head\.bias of 1 dimensions|else than dense tensors: classifier\.1\.bias"
    ):
        open_teacher("data2vec", weights=write(tuned, tmp_path / "d.pt"))
    with pytest.raises(UsageError, match="no `model` of named tensors"):
        open_teacher("data2vec", weights=write(tensors | {3: torch.ones(1)}, tmp_path / "d.pt"), signals=["targets"])


def test_its_own_heads_count_also_where_its_tensors_are_of_a_published_size(pixels, tmp_path: Path):
    """Shaped like nano, but with other heads: no tensor shows it, its configuration does."""
    from kdcache.teachers.families.data2vec.checkpoint import fairseq_tensors
    from kdcache.teachers.loading.networks import seeded
    from kdcache.teachers.nano import NANO_DATA2VEC

    with seeded():
        network = Data2Vec(Data2VecShape.from_plain({**NANO_DATA2VEC, "heads": 6, "targets": 2})).eval()
    model = {"num_heads": 6, "average_top_k_layers": 2}
    path = write(fairseq_tensors(network), tmp_path / "six.pt", model)
    teacher = open_teacher("data2vec", weights=path, signals=["inputs"])
    views = pixels(1, (64, 64))
    with torch.no_grad():
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
        wanted = network((views.permute(0, 3, 1, 2).float() / 255 - mean) / std).inputs
    torch.testing.assert_close(teacher.emit(Shown(views))["inputs"], wanted, rtol=1e-5, atol=1e-5)
    assert teacher.spec.size == "custom"


@pytest.mark.parametrize("name", [f"{PLACE}fixed_positional_encoder.positions", f"{PLACE}local_encoder.proj.weight"])
def test_without_what_tells_its_shape_it_is_refused(name: str, tensors, tmp_path: Path):
    del tensors[name]
    with pytest.raises(Mismatch, match=f"has no {name} of . dimensions"):
        open_teacher("data2vec", weights=write(tensors, tmp_path / "d.pt"), signals=["final"])


@pytest.mark.parametrize("name", ["blocks.1.mlp.fc2.bias", f"{PLACE}context_encoder.norm.weight"])
def test_a_missing_tensor_is_an_error(name: str, tensors, tmp_path: Path):
    del tensors[name]
    with pytest.raises(Mismatch, match="1 missing"):
        open_teacher("data2vec", weights=write(tensors, tmp_path / "d.pt"), signals=["final"])


def test_a_fine_tuned_checkpoint_says_logits(tensors, pixels, normal, tmp_path: Path):
    tuned = {f"model.{name}": value for name, value in tensors.items() if name != "_ema" and ".decoder." not in name}
    tuned |= {"fc_norm.weight": torch.randn(DIM), "fc_norm.bias": torch.randn(DIM)}
    tuned |= {"head.weight": torch.randn(5, DIM), "head.bias": torch.randn(5)}
    model = {
        "_name": "mae_image_classification",
        "prediction_mode": "MEAN_POOLING",
        "pretrained_model_args": {"model": settings()},
    }
    teacher = open_teacher("data2vec", weights=write(tuned, tmp_path / "ft.pt", model))
    views = pixels(2, IMAGE)
    pooled = reference(tensors, normal(views, MEAN, STD))[2][:, 1:].mean(1)
    expected = F.linear(norm(tuned, "fc_norm", pooled), tuned["head.weight"], tuned["head.bias"])
    torch.testing.assert_close(teacher.emit(Shown(views))["logits"], expected, rtol=1e-4, atol=1e-4)
    path = write(tuned, tmp_path / "cls.pt", model | {"prediction_mode": "CLS_TOKEN"})
    with pytest.raises(UsageError, match="CLS_TOKEN"):
        open_teacher("data2vec", weights=path)


def test_a_pretrained_checkpoint_has_no_logits(tensors, tmp_path: Path):
    with pytest.raises(
        UsageError, match="cannot emit 'logits'; it can emit inputs, final, features, targets"
    ) as caught:
        open_teacher("data2vec", weights=write(tensors, tmp_path / "d.pt"))
    assert "fine-tuned" in str(caught.value.hint)


def test_other_files_are_told_apart(tensors, save, tmp_path: Path):
    with pytest.raises(UsageError, match="not a fairseq checkpoint"):
        open_teacher(
            "data2vec", weights=str(save({"a": torch.zeros(1)}, tmp_path / "a.safetensors")), signals=["final"]
        )
    with pytest.raises(UsageError, match=r"not a data2vec 2\.0 image model"):
        open_teacher(
            "data2vec",
            weights=write({"encoder.layers.0.fc1.weight": torch.zeros(1)}, tmp_path / "t.pt"),
            signals=["final"],
        )
    torch.save({"model": tensors}, tmp_path / "bare.pt")
    with pytest.raises(UsageError, match="not a published size"):
        open_teacher("data2vec", weights=str(tmp_path / "bare.pt"), signals=["final"])
    with pytest.raises(Mismatch, match="--size is base"):
        open_teacher("data2vec", size="base", weights=write(tensors, tmp_path / "d.pt"), signals=["final"])


def test_other_input_sizes_are_refused(tensors, tmp_path: Path):
    with pytest.raises(UsageError, match="sees 32x32 and nothing else"):
        open_teacher("data2vec", weights=write(tensors, tmp_path / "d.pt"), signals=["final"], input_size=64)


def test_positions_are_those_of_mae():
    """First the column's sines, then its cosines, then the row's, at rates falling from 1 to 1/10000."""
    found = fixed_positions(5, 16)[0]
    for row in range(5):
        for column in range(5):
            expected = []
            for place in (column, row):
                angles = [place / 10_000 ** (step / 4) for step in range(4)]
                expected += [math.sin(angle) for angle in angles] + [math.cos(angle) for angle in angles]
            torch.testing.assert_close(found[row * 5 + column], torch.tensor(expected))


def test_a_target_ignores_scale_and_shift_of_a_layer():
    layers = [torch.randn(2, 9, 8) for _ in range(3)]
    scaled = [5 * layer + 7 for layer in layers]
    torch.testing.assert_close(targets(layers, 2), targets(scaled, 2), rtol=1e-3, atol=1e-3)
    assert not torch.allclose(targets(layers, 2), targets(layers, 3))


@pytest.mark.parametrize(("side", "crop_pct"), [(224, 0.875), (112, 0.875), (384, 1.0)])
def test_larger_inputs_are_not_cut_from_more(side: int, crop_pct: float):
    """fairseq's evaluation, which cuts as torchvision does."""
    preprocess = prepared_for(family_facts("data2vec").sizes["base"].preprocess, side)
    assert preprocess.size == (side, side)
    assert (preprocess.geometry.crop_pct, preprocess.geometry.cut) == (crop_pct, "round")


@pytest.mark.parametrize(("size", "tokens"), [("base", 197), ("large", 197), ("huge", 257)])
def test_published_sizes_have_the_published_numbers(size: str, tokens: int):
    shape = Data2VecShape.from_plain(family_facts("data2vec").sizes[size].architecture)
    with torch.device("meta"):
        network = Data2Vec(shape)
    blocks = sum(p.numel() for block in [*network.encoder.blocks, *network.blocks] for p in block.parameters())
    assert 1 + network.encoder.positions.shape[1] == tokens
    assert {module.eps for module in network.modules() if isinstance(module, torch.nn.LayerNorm)} == {1e-6}
    if size == "base":
        assert blocks == 85_054_464
        encoder = [*network.encoder.parameters(), network.encoder.positions]
        assert sum(tensor.numel() for tensor in encoder) == 14_919_168
        assert sum(tensor.numel() for tensor in [*network.parameters(), network.encoder.positions]) == 85_797_888


def test_a_file_of_bare_weights_is_read_like_a_whole_checkpoint(tensors, pixels, save, tmp_path: Path):
    """As nano lies in the package: safetensors, fairseq's names; its shape must be a known one."""
    small = open_teacher("data2vec", size="nano", weights="random", signals=["inputs", "targets"])
    assert (small.spec.size, small.spec.preprocess.size) == ("nano", (64, 64))
    assert [signal.shape for signal in small.spec.signals] == [(65, 96), (65, 96)]
    bare = {name: value for name, value in tensors.items() if name != "_ema"}
    with pytest.raises(UsageError, match="not a published size"):
        open_teacher("data2vec", weights=str(save(bare, tmp_path / "bare.safetensors")), signals=["final"])
