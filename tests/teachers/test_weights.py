"""Weights: read whole, read safely, and known by their sha256."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from kdcache.base.tensors import read_tensors
from kdcache.errors import Damage, Mismatch, Unavailable, UsageError
from kdcache.teachers.loading.networks import load_strict, state_record
from kdcache.teachers.loading.weights import find_checkpoint


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    return {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(2)}


def test_a_file_is_known_by_its_name_and_sha256_never_by_its_path(tensors, save, tmp_path: Path):
    path = save(tensors, tmp_path / "w.safetensors")
    found = find_checkpoint(str(path), None, name="x")
    assert found.record.source == "file:w.safetensors"
    assert found.record.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert torch.equal(found.tensors["a.weight"], tensors["a.weight"])
    assert found.folder is None


def test_shards_are_read_as_one(tensors, save, tmp_path: Path):
    save({"a.weight": tensors["a.weight"]}, tmp_path / "model-1.safetensors")
    save({"a.bias": tensors["a.bias"]}, tmp_path / "model-2.safetensors")
    weight_map = {"a.weight": "model-1.safetensors", "a.bias": "model-2.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    found = find_checkpoint(str(tmp_path), None, name="x")
    assert found.tensors.keys() == tensors.keys()
    save({"a.bias": tensors["a.bias"] + 1}, tmp_path / "model-2.safetensors")
    assert find_checkpoint(str(tmp_path), None, name="x").record.sha256 != found.record.sha256
    (tmp_path / "model-2.safetensors").unlink()
    with pytest.raises(Damage, match=r"model-2\.safetensors"):
        find_checkpoint(str(tmp_path), None, name="x")


def test_a_broken_configuration_is_damage(tmp_path: Path):
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {')
    with pytest.raises(Damage, match="is not JSON"):
        find_checkpoint(str(tmp_path), None, name="x")


def test_a_shard_outside_the_folder_is_refused(tmp_path: Path):
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../other.safetensors"}}))
    with pytest.raises(Damage, match="other"):
        find_checkpoint(str(tmp_path), None, name="x")


def test_torch_files_are_read_with_numpy_numbers_in_them(tensors, tmp_path: Path):
    torch.save({"model": tensors, "best": np.float64(0.5), "steps": np.int64(7)}, tmp_path / "w.pt")
    found = read_tensors(tmp_path / "w.pt")
    assert torch.equal(found["model"]["a.bias"], tensors["a.bias"])
    assert found["best"] == 0.5


class Trap:
    """What a hostile checkpoint would hold."""

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("trapped"),))


def test_a_checkpoint_cannot_run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": Trap()}, "w.pt")
    with pytest.raises(UsageError, match="more than weights") as caught:
        read_tensors(Path("w.pt"))
    assert "safetensors" in str(caught.value.hint)
    assert not Path("trapped").exists()


def test_wrong_files_are_named_for_what_they_are(tensors, save, tmp_path: Path):
    pointer = tmp_path / "pointer.safetensors"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")
    with pytest.raises(UsageError, match="git-lfs pointer") as caught:
        read_tensors(pointer)
    assert "git lfs pull" in str(caught.value.hint)
    picture = tmp_path / "cat.jpg"
    picture.write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    with pytest.raises(UsageError, match="not a weight file"):
        read_tensors(picture)
    (tmp_path / "empty.pt").touch()
    with pytest.raises(UsageError, match="not a weight file"):
        read_tensors(tmp_path / "empty.pt")
    with pytest.raises(Unavailable, match=r"no weights at .*gone\.pt"):
        find_checkpoint(str(tmp_path / "gone.pt"), None, name="x")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(UsageError, match="no weights in the folder"):
        find_checkpoint(str(tmp_path / "nothing"), None, name="x")


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_program_is_not_weights(tmp_path: Path):
    torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)).save(str(tmp_path / "p.pt"))
    with pytest.raises(UsageError, match="TorchScript"):
        read_tensors(tmp_path / "p.pt")


@pytest.mark.parametrize("kind", ["safetensors", "pt"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_truncated_file_is_damage(kind: str, share: float, save, tmp_path: Path):
    path = tmp_path / f"w.{kind}"
    tensors = {"w": torch.zeros(2000)}
    if kind == "pt":
        torch.save(tensors, path)
    else:
        save(tensors, path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(Damage, match=r"w\.\w+ is damaged"):
        read_tensors(path)


def test_strict_loading_names_everything_that_is_wrong():
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    tensors = network.state_dict()
    del tensors["0.bias"], tensors["1.running_mean"]
    tensors["0.weight"] = torch.zeros(3, 2)
    tensors["extra"] = torch.zeros(1)
    with pytest.raises(Mismatch) as caught:
        load_strict(network, tensors, source="file:w", what="a test")
    message = caught.value.message
    assert "2 missing (0.bias, 1.running_mean)" in message
    assert "1 unexpected (extra)" in message
    assert "0.weight (3, 2) for (2, 3)" in message
    assert caught.value.details["missing"] == ["0.bias", "1.running_mean"]


def test_buffers_that_follow_from_the_shape_may_come_or_not():
    network = nn.BatchNorm1d(2)
    tensors = network.state_dict()
    del tensors["num_batches_tracked"]
    load_strict(network, {**tensors, "some.position_ids": torch.zeros(1)}, source="s", what="w")


def test_half_precision_weights_become_float32():
    network = nn.Linear(3, 2)
    load_strict(network, {"weight": torch.ones(2, 3).half(), "bias": torch.ones(2).bfloat16()}, source="s", what="w")
    assert network.weight.dtype == torch.float32
    assert bool((network.weight == 1).all())


def test_a_state_is_known_by_names_shapes_and_values():
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.load_state_dict(first.state_dict())
    assert state_record(first, "x") == state_record(second, "x")
    with torch.no_grad():
        second.bias[0] = second.bias[0] + 1e-6
    assert state_record(first, "x") != state_record(second, "x")
