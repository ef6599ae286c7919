"""Weight files and model folders of strangers: one clear line each, no silent conversion, no more memory than they have bytes."""

import json
import os
import resource
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import nn

from kdcache.base.tensors import load_exact, read_tensors
from kdcache.errors import Damage, KDError, Mismatch, UsageError
from kdcache.teachers.heads.heads import load_head
from kdcache.teachers.loading.weights import find_checkpoint
from kdcache.teachers.registry import open_teacher
from tests.test_plain_json import HOSTILE

F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
TEXTS = {name: raw for name, raw in HOSTILE.items() if len(raw) < 10_000_000}


def written(path: Path, header: Any, data: bytes = b"12345678", length: int | None = None) -> Path:
    """A safetensors file of any header."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw) if length is None else length) + raw + data)
    return path


@pytest.mark.parametrize(
    ("header", "length"),
    [
        ({"a": F32 | {"shape": [2**40], "data_offsets": [0, 2**42]}}, None),
        ({"a": F32 | {"shape": [2**40]}}, None),
        ({"a": F32 | {"shape": [2**32, 2**32]}}, None),
        ({"a": F32 | {"shape": [0, 2**63], "data_offsets": [0, 0]}}, None),
        ({"a": F32 | {"shape": [-2]}}, None),
        ({"a": F32 | {"data_offsets": [-8, 0]}}, None),
        ({"a": F32 | {"data_offsets": [8, 0]}}, None),
        ({"a": F32, "b": F32}, None),
        ({"a": F32 | {"dtype": "Q9"}}, None),
        ({"a": F32 | {"dtype": "F6_E2M3", "shape": [4], "data_offsets": [0, 3]}}, None),
        ({"a": [1]}, None),
        ({"__metadata__": {"n": 1}, "a": F32}, None),
        (b'{"a": %b, "a": %b}' % (json.dumps(F32).encode(), json.dumps(F32 | {"dtype": "I32"}).encode()), None),
        (b"{}", 1 << 60),
        (b"{}", 90 << 20),
        *((b'{"a": ' + text + b"}", None) for text in TEXTS.values()),
    ],
)
def test_a_header_that_lies_is_damage_and_takes_no_memory(header, length, tmp_path):
    path = written(tmp_path / "w.safetensors", header, b"123" if b"F6" in str(header).encode() else b"12345678", length)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Damage, match=r"w\.safetensors is damaged"):
        read_tensors(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "w.safetensors")
    with pytest.raises(UsageError, match="is not a file"):
        read_tensors(tmp_path / "w.safetensors")


def test_a_torch_file_that_would_inflate_is_refused(tmp_path):
    torch.save({"a": torch.zeros(4_000_000)}, tmp_path / "plain.pt")
    with (
        zipfile.ZipFile(tmp_path / "plain.pt") as old,
        zipfile.ZipFile(tmp_path / "w.pt", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    with pytest.raises(Damage, match=r"w\.pt is damaged: [\d,]+ bytes that would become"):
        read_tensors(tmp_path / "w.pt")


def test_a_tensor_of_one_number_many_times_over_is_refused(tmp_path):
    torch.save({"deep": [{"a": torch.zeros(1).expand(1 << 40)}]}, tmp_path / "w.pt")
    with pytest.raises(Damage, match="more numbers than the file holds"):
        read_tensors(tmp_path / "w.pt")


@pytest.mark.parametrize(
    "kind", [torch.int64, torch.int8, torch.uint8, torch.bool, torch.complex64, torch.float8_e4m3fn]
)
def test_weights_of_another_type_are_refused_by_name(kind):
    tensors = {"weight": torch.ones(2, 3).to(kind), "bias": torch.ones(2)}
    with pytest.raises(Mismatch, match=r"1 of another type \(weight \w+ for float32\)"):
        load_exact(nn.Linear(3, 2), tensors, source="w", what="a test", hint="")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_weights_that_are_no_numbers_are_refused_by_name(value):
    tensors = {"weight": torch.full((2, 3), value, dtype=torch.float64), "bias": torch.ones(2)}
    with pytest.raises(Damage, match="w has weights that are NaN or infinite: weight"):
        load_exact(nn.Linear(3, 2), tensors, source="w", what="a test", hint="")


@pytest.mark.parametrize(
    "message",
    [{"weight_map": ["a"]}, {"weight_map": {"a": 1}}, {"weight_map": {"a": ["b"]}}, {"weight_map": {}}, {}, [1], 5],
)
def test_an_index_of_shards_that_is_none_is_damage(message, tmp_path):
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(message))
    with pytest.raises(Damage, match=r"model\.safetensors\.index\.json"):
        find_checkpoint(str(tmp_path), None, name="x")


@pytest.mark.parametrize("raw", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("name", ["model.safetensors.index.json", "config.json", "preprocessor_config.json"])
def test_hostile_json_beside_weights_is_damage(name, raw, tmp_path, save):
    if name != "model.safetensors.index.json":
        save({"a": torch.ones(1)}, tmp_path / "model.safetensors")
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(Damage, match=name):
        find_checkpoint(str(tmp_path), None, name="x")


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": "[" * 1000},
        {"classes": "9" * 5000},
        {"classes": '{"a": 1}'},
        {"classes": "[1, 2]"},
        {"eps": "x"},
        {"eps": "nan"},
        {"eps": "9" * 5000},
        {"norm": "\x1b[2J"},
    ],
)
def test_metadata_of_a_head_that_is_none_is_told(changes, tmp_path, save):
    path = tmp_path / "head.safetensors"
    from safetensors.torch import save_file

    save_file({"weight": torch.ones(2, 3), "bias": torch.ones(2)}, path, metadata=changes)
    with pytest.raises(UsageError, match="is not a head"):
        load_head(path)


@pytest.fixture
def vit(randomised, tmp_path) -> Path:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = transformers.ViTConfig(image_size=32, patch_size=8, **sizes)
    randomised(transformers.ViTForImageClassification(config)).save_pretrained(tmp_path / "vit")
    content = {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}, "resample": 2}
    content |= {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (tmp_path / "vit" / "preprocessor_config.json").write_text(json.dumps(content))
    return tmp_path / "vit"


def changed(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "nosuch"}, "transformers has no model of type 'nosuch'"),
        ({"model_type": ["vit"]}, r"transformers has no model of type \['vit'\]"),
        ({"num_hidden_layers": 10**9}, r"its num_hidden_layers is 1,000,000,000, at most 1,000 is allowed"),
        (
            {"hidden_size": 2**16, "intermediate_size": 2**17},
            r"describe a network of [\d,]+ weights, but its files have",
        ),
        ({"hidden_size": "wide"}, r"hf:.* cannot be opened: "),
        ({"hidden_act": "nosuch"}, r"hf:.* cannot be opened: "),
        ({"patch_size": 0}, r"hf:.* cannot be opened: "),
        ({"architectures": [5]}, r"."),
        ({"auto_map": {"AutoConfig": "program.Config"}, "model_type": "nosuch"}, "no model of type 'nosuch'"),
    ],
)
def test_a_configuration_that_is_none_is_told_in_one_line(changes, message, vit):
    changed(vit / "config.json", **changes)
    if changes.get("architectures"):  # the bare model: that is what such a folder says it is
        with pytest.raises(KDError):
            open_teacher(f"hf:{vit}", signals=["logits"])
        return
    with pytest.raises((Mismatch, Damage), match=message) as refused:
        open_teacher(f"hf:{vit}", signals=["logits"])
    assert "\n" not in refused.value.message


@pytest.mark.parametrize(
    "changes",
    [{"resample": "wide"}, {"image_processor_type": "nosuch"}, {"size": 10**30}, {"image_mean": ["a", "b", "c"]}],
)
def test_a_processor_that_is_none_is_told_in_one_line(changes, vit):
    changed(vit / "preprocessor_config.json", **changes)
    with pytest.raises(KDError) as refused:
        open_teacher(f"hf:{vit}", signals=["logits"])
    assert "\n" not in refused.value.message


def test_a_model_of_whole_numbers_is_refused_before_transformers_converts_it(vit):
    from safetensors.torch import load_file, save_file

    path = vit / "model.safetensors"
    tensors = load_file(path)
    weight = tensors["classifier.weight"]
    save_file(tensors | {"classifier.weight": weight.long()}, path, {"format": "pt"})
    with pytest.raises(Mismatch, match=r"not floating-point numbers: classifier\.weight \(I64\)"):
        open_teacher(f"hf:{vit}", signals=["logits"])
    save_file(tensors | {"classifier.weight": weight * float("nan")}, path, {"format": "pt"})
    with pytest.raises(Damage, match=r"NaN or infinite: classifier\.weight"):
        open_teacher(f"hf:{vit}", signals=["logits"])
