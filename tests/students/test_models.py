"""TinyViT students: as large as published, any input size, and weights that fit or are refused."""

import re
import zlib

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from kdcache.errors import KDError, Mismatch, Unavailable, UsageError
from students.families.cost import student_cost
from students.families.loading import HeadRows
from students.families.registry import (
    build_student,
    family_of,
    load_weights,
    student_names,
    student_preset,
    student_spec,
)
from tests.students.trained import NAMES, shaken, small_spec

THOUSAND = tuple(f"class {number}" for number in range(1000))
LETTERS = tuple("abcdefghij")
# Logits of the published implementation (TinyViT/models/tiny_vit.py of microsoft/Cream, commit 4a13c40), TinyViT-5M at 64 pixels
# with windows 2/2/4/2 and 10 classes, for weights and pixels as `drawn` makes them from the published names.
PUBLISHED_LOGITS = [
    [1.18067, 1.27582, -0.74594, 0.69074, -0.32008, -0.07893, -0.66868, 1.57142, 1.37600, -0.86080],
    [1.21339, 1.32720, -0.80664, 0.66991, -0.25839, -0.11019, -0.65405, 1.51128, 1.31838, -0.79953],
]


@pytest.fixture(scope="module")
def network():
    return shaken(small_spec())


def saved(network, path, **changed):
    save_file({**network.state_dict(), **changed}, path)
    return path


def logits(network, size=64, count=2):
    pixels = torch.randn((count, 3, size, size), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return network.eval()(pixels)


# ---- what they are


@pytest.mark.parametrize(
    ("name", "parameters", "millions", "billions"),
    [("tinyvit-5m", 5_392_764, 5.4, 1.3), ("tinyvit-11m", 10_996_972, 11, 2.0), ("tinyvit-21m", 21_198_568, 21, 4.3)],
)
def test_students_are_as_large_as_published(name, parameters, millions, billions):
    """The whole numbers are those of the published implementation, the rounded ones those of its README."""
    cost = student_cost(student_spec(name, classes=THOUSAND))
    assert cost.parameters == parameters
    assert cost.parameters / 1e6 == pytest.approx(millions, abs=0.2)
    assert cost.macs / 1e9 == pytest.approx(billions, abs=0.05)


def test_presets_come_smallest_first():
    names = student_names()
    assert names == ["tinyvit-5m", "tinyvit-11m", "tinyvit-21m", "data2vec-nano", "data2vec-5x768"], "family by family"


@pytest.mark.parametrize("name", ["tinyvit-5m", "tinyvit-11m", "tinyvit-21m"])
def test_presets_prepare_pixels_as_timm_says(name):
    """All but the crop: timm chose another one than the paper's own evaluation."""
    import timm

    preset, spec = student_preset(name), student_spec(name, classes=THOUSAND)
    config = timm.get_pretrained_cfg(f"{spec.architecture}.in1k")  # type: ignore[attr-defined]
    assert (config.mean, config.std) == (preset.mean, preset.std)
    assert config.input_size == (3, preset.input, preset.input)
    assert config.interpolation == preset.geometry.interpolation


@pytest.mark.parametrize(
    ("size", "windows"),
    [(32, (1, 1, 2, 1)), (64, (2, 2, 4, 2)), (224, (7, 7, 14, 7)), (384, (12, 12, 24, 12)), (512, (16, 16, 32, 16))],
)
def test_windows_grow_with_the_input(size, windows):
    assert student_spec("tinyvit-21m", classes=THOUSAND, size=size).windows == windows  # type: ignore[attr-defined]


@pytest.mark.parametrize(("size", "near"), [(100, "96 and 128"), (31, "32 and 64"), (225, "224 and 256")])
def test_sizes_that_do_not_divide_are_refused_with_the_nearest(size, near):
    with pytest.raises(UsageError, match=f"{size} pixels") as caught:
        student_spec("tinyvit-5m", classes=THOUSAND, size=size)
    assert near in caught.value.hint


def test_larger_inputs_are_squashed_as_published():
    fits = {size: student_spec("tinyvit-21m", classes=NAMES, size=size).geometry.fit for size in (64, 224, 256, 384)}
    assert fits == {64: "crop", 224: "crop", 256: "squash", 384: "squash"}


def test_a_spec_says_all_that_a_rebuilt_student_needs(network):
    spec = small_spec()
    again = build_student(type(spec).from_plain(spec.plain()))
    again.load_state_dict(network.state_dict())
    assert torch.equal(logits(again), logits(network))


def test_the_drop_path_asked_for_is_built():
    spec = student_spec("tinyvit-21m", classes=NAMES, size=32, drop_path=0.3)
    rates = [module.drop_prob for module in build_student(spec).modules() if hasattr(module, "drop_prob")]
    assert max(rates) == pytest.approx(0.3)  # type: ignore[type-var]
    assert student_spec("tinyvit-21m", classes=NAMES, drop_path=0.0).drop_path == 0.0  # type: ignore[attr-defined]
    assert student_spec("tinyvit-21m", classes=NAMES).drop_path == 0.2  # type: ignore[attr-defined]


def test_the_global_seed_decides_the_first_weights():
    spec = small_spec(size=32)
    states = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        states.append(build_student(spec).state_dict()["head.fc.weight"])
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_one_class_is_no_student():
    with pytest.raises(UsageError, match="1 class"):
        student_spec("tinyvit-5m", classes=("all",))


# ---- layers and decay


def test_layers_are_numbered_as_published(network):
    """`set_layer_lr_decay` of TinyViT/models/tiny_vit.py; a downsampling ends its stage there, and begins the next in timm."""
    layers = {group.name: group.layer for group in family_of(small_spec()).groups(network, small_spec())}
    expected = {
        "patch_embed.conv1.conv.weight": 0,
        "patch_embed.conv2.bn.bias": 0,
        "stages.0.blocks.0.conv1.conv.weight": 0,
        "stages.0.blocks.1.conv3.bn.weight": 1,
        "stages.1.downsample.conv2.conv.weight": 1,
        "stages.1.blocks.0.attn.attention_biases": 2,
        "stages.1.blocks.1.local_conv.conv.weight": 3,
        "stages.2.downsample.conv1.bn.weight": 3,
        "stages.2.blocks.0.mlp.fc1.weight": 4,
        "stages.2.blocks.5.attn.qkv.weight": 9,
        "stages.3.downsample.conv3.conv.weight": 9,
        "stages.3.blocks.1.attn.proj.bias": 11,
        "head.norm.weight": 11,
        "head.fc.bias": 11,
    }
    assert {name: layers[name] for name in expected} == expected
    assert set(layers.values()) == set(range(12))


def test_decay_spares_vectors_biases_and_attention_biases(network):
    decayed = {group.name for group in family_of(small_spec()).groups(network, small_spec()) if group.decays}
    assert all(re.search(r"\.(conv|qkv|proj|fc1|fc2|fc)\.weight$", name) for name in decayed)
    spared = {name for name, _ in network.named_parameters()} - decayed
    assert not any(name.endswith((".conv.weight", ".qkv.weight", ".fc.weight")) for name in spared)


# ---- weights: layouts


def published_name(name):
    """timm's name -> the published one, written down apart from the code under test."""
    name = re.sub(r"^stages\.(\d)\.downsample", lambda found: f"layers.{int(found[1]) - 1}.downsample", name)
    name = name.replace("stages.", "layers.").replace("conv.weight", "c.weight")
    name = name.replace("patch_embed.conv1", "patch_embed.seq.0").replace("patch_embed.conv2", "patch_embed.seq.2")
    return name.replace("head.norm", "norm_head").replace("head.fc", "head")


def published(network):
    return {published_name(name): tensor for name, tensor in network.state_dict().items()}


def drawn(name, shape):
    """A tensor that depends on its published name alone."""
    dice = np.random.Generator(np.random.Philox(zlib.crc32(name.encode())))
    if name.endswith("num_batches_tracked"):
        return torch.tensor(1)
    if name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
        return torch.from_numpy(dice.uniform(0.5, 1.5, shape).astype(np.float32))
    inputs = int(np.prod(shape[1:])) if len(shape) > 1 else 4
    scale = 1.0 if "attention_biases" in name else inputs**-0.5
    return torch.from_numpy((dice.standard_normal(shape) * scale).astype(np.float32))


def test_published_weights_give_the_published_logits(tmp_path):
    spec = small_spec(classes=LETTERS)
    network = build_student(spec)
    weights = {name: drawn(name, tuple(tensor.shape)) for name, tensor in published(network).items()}
    torch.save({"model": weights}, tmp_path / "published.pth")
    adapted = load_weights(network, spec, tmp_path / "published.pth", head="keep")
    assert (adapted.layout, adapted.changed, adapted.head) == ("published", (), "kept")
    pixels = torch.from_numpy(
        np.random.Generator(np.random.Philox(7)).standard_normal((2, 3, 64, 64)).astype(np.float32)
    )
    with torch.no_grad():
        logits = network.eval()(pixels)
    torch.testing.assert_close(logits, torch.tensor(PUBLISHED_LOGITS), atol=2e-4, rtol=1e-4)


def test_indices_that_older_files_carry_are_dropped(network, tmp_path):
    indices = {"layers.1.blocks.0.attn.attention_bias_idxs": torch.zeros(4, 4, dtype=torch.long)}
    torch.save({"model": {**published(network), **indices}, "epoch": 89}, tmp_path / "old.pth")
    fresh = build_student(small_spec())
    load_weights(fresh, small_spec(), tmp_path / "old.pth", head="keep")
    assert torch.equal(logits(fresh), logits(network))


def test_own_weights_come_back_exactly(network, tmp_path):
    fresh = build_student(small_spec())
    adapted = load_weights(fresh, small_spec(), saved(network, tmp_path / "w.safetensors"), head="keep")
    assert (adapted.layout, adapted.changed, adapted.head) == ("timm", (), "kept")
    assert re.fullmatch(r"[0-9a-f]{64}", adapted.sha256)
    assert torch.equal(logits(fresh), logits(network))


@pytest.mark.parametrize("layout", ["timm", "published"])
def test_missing_and_strange_tensors_are_named(network, tmp_path, layout):
    weights = published(network) if layout == "published" else network.state_dict()
    gone = next(name for name in weights if name.endswith("3.blocks.1.attn.qkv.weight"))
    changed = {**weights, "rogue.weight": torch.zeros(1)}
    del changed[gone]
    save_file({name: tensor.clone() for name, tensor in changed.items()}, tmp_path / "w.safetensors")
    with pytest.raises(Mismatch, match=r"1 missing \(stages\.3\.blocks\.1\.attn\.qkv\.weight\); 1 unexpected \(rogue"):
        load_weights(build_student(small_spec()), small_spec(), tmp_path / "w.safetensors", head="keep")


def test_weights_of_a_larger_student_are_refused(tmp_path):
    other = small_spec("tinyvit-11m")
    with pytest.raises(Mismatch, match="of another shape"):
        load_weights(
            build_student(small_spec()), small_spec(), saved(shaken(other), tmp_path / "w.safetensors"), head="keep"
        )


def test_a_file_that_is_not_there_is_unavailable(tmp_path):
    with pytest.raises(Unavailable, match=r"no weights at .*w\.pth"):
        load_weights(build_student(small_spec()), small_spec(), tmp_path / "w.pth", head="keep")


def test_a_file_without_tensors_is_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "w.pth")
    with pytest.raises(UsageError, match="no named tensors"):
        load_weights(build_student(small_spec()), small_spec(), tmp_path / "w.pth", head="keep")


# ---- weights: windows


def test_moving_to_another_resolution_interpolates_biases_and_nothing_else(network, tmp_path):
    larger = small_spec(size=96)
    moved = build_student(larger)
    adapted = load_weights(moved, larger, saved(network, tmp_path / "w.safetensors"), head="keep")
    before, after = network.state_dict(), moved.state_dict()
    assert set(adapted.changed) == {name for name in before if name.endswith("attention_biases")}
    for name, tensor in before.items():
        if name not in adapted.changed:
            assert torch.equal(after[name], tensor), name
    name = "stages.2.blocks.0.attn.attention_biases"
    assert (before[name].shape, after[name].shape) == ((5, 16), (5, 36))
    expected = F.interpolate(before[name].reshape(1, 5, 4, 4), size=(6, 6), mode="bicubic").reshape(5, 36)
    assert torch.equal(after[name], expected)
    assert logits(moved, size=96).isfinite().all()


def test_from_224_to_384_every_bias_has_its_new_shape(tmp_path):
    here, there = (small_spec(size=size) for size in (224, 384))
    moved = build_student(there)
    load_weights(moved, there, saved(build_student(here), tmp_path / "w.safetensors"), head="keep")
    shapes = {tuple(t.shape) for n, t in moved.state_dict().items() if n.endswith("attention_biases")}
    assert shapes == {(4, 144), (5, 576), (10, 144)}


def test_interpolated_biases_keep_their_order():
    """Offsets run along the rows of a square: a slope across columns stays one across columns."""
    from students.families.tinyvit.weights import _resized

    slope = torch.arange(4.0).repeat(4, 1).reshape(1, 16)
    grown = _resized(slope, 64).reshape(8, 8)
    assert torch.allclose(grown, grown[:1].expand(8, 8))
    assert (grown[0].diff()[1:-1] > 0).all()


# ---- weights: the head


def test_a_head_for_other_classes_is_refused_with_both_numbers(network, tmp_path):
    spec = small_spec(classes=LETTERS)
    with pytest.raises(Mismatch, match=r"has 4 classes, tinyvit-5m has 10") as caught:
        load_weights(build_student(spec), spec, saved(network, tmp_path / "w.safetensors"), head="keep")
    assert "--new-head" in caught.value.hint


@pytest.mark.parametrize("classes", [LETTERS, NAMES])
def test_a_new_head_stays_as_it_was_made(network, tmp_path, classes):
    spec = small_spec(classes=classes)
    fresh = build_student(spec)
    before = fresh.state_dict()["head.fc.weight"].clone()
    adapted = load_weights(fresh, spec, saved(network, tmp_path / "w.safetensors"), head="new")
    assert adapted.head == "new"
    assert torch.equal(fresh.state_dict()["head.fc.weight"], before)
    assert torch.equal(fresh.state_dict()["head.norm.weight"], network.state_dict()["head.norm.weight"])


@pytest.mark.parametrize("absent", ["zero", "mean"])
def test_rows_of_a_larger_head_can_be_picked(network, tmp_path, absent):
    (tmp_path / "rows.txt").write_text("3\n-1\n0\n", "utf-8")
    spec = small_spec(classes=("star", "unknown", "circle"))
    fresh = build_student(spec)
    weights = saved(network, tmp_path / "w.safetensors")
    adapted = load_weights(fresh, spec, weights, head="keep", rows=HeadRows(tmp_path / "rows.txt", absent))
    assert adapted.head == "picked"
    before, after = logits(network), logits(fresh)
    torch.testing.assert_close(after[:, [0, 2]], before[:, [3, 0]])
    expected = torch.zeros(2) if absent == "zero" else before[:, [3, 0]].mean(1)
    torch.testing.assert_close(after[:, 1], expected)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("0\n1\n", "picks 2 rows, tinyvit-5m has 3 classes"),
        ("0\n1\n4\n", "picks row 4, the head of .* has 4"),
        ("0\n1\n-2\n", "picks row -2"),
        ("-1\n-1\n-1\n", "picks no row"),
        ("0\n1\nx\n", "not a list of row numbers"),
    ],
)
def test_rows_that_cannot_be_picked_are_refused(network, tmp_path, lines, message):
    (tmp_path / "rows.txt").write_text(lines, "utf-8")
    spec = small_spec(classes=("a", "b", "c"))
    with pytest.raises(KDError, match=message):
        load_weights(
            build_student(spec),
            spec,
            saved(network, tmp_path / "w.safetensors"),
            head="keep",
            rows=HeadRows(tmp_path / "rows.txt"),
        )
