"""Heads: fitted, measured on images they did not see, saved, and refused where they do not belong."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from kdcache.errors import Mismatch, StorageError, Unavailable, UsageError
from kdcache.signals.shown import Shown
from kdcache.teachers.heads.fit import accuracy, fit_head
from kdcache.teachers.heads.heads import Head, check_fits, load_head, save_head
from kdcache.teachers.registry import open_teacher

CLASSES = ["circle", "square", "star"]


def blobs(count: int, *, distance: float, seed: int = 0) -> tuple[torch.Tensor, np.ndarray]:
    """Three Gaussian clouds in 8 dimensions of very different scale."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count).astype(np.int32)
    centres = distance * np.eye(8)[:3]
    points = (centres[labels] + rng.normal(size=(count, 8))) * np.logspace(-2, 2, 8) + 5
    return torch.from_numpy(points.astype(np.float32)), labels


@pytest.fixture(scope="module")
def resnet():
    return open_teacher("timm:resnet18", weights="random", signals=["embedding"], input_size=32)


def test_a_probe_learns_what_can_be_learned():
    embeddings, labels = blobs(600, distance=6.0)
    head = fit_head(embeddings, labels, CLASSES, seed=0)
    assert float(head.facts["accuracy"]) > 0.97
    assert head.classes == tuple(CLASSES)
    fresh, fresh_labels = blobs(300, distance=6.0, seed=1)
    assert accuracy(head(fresh), torch.from_numpy(fresh_labels)) > 0.97


def test_the_accuracy_told_is_of_images_held_out():
    """Random labels in as many dimensions as images: a probe can learn them by heart, and must not say it can tell."""
    rng = np.random.default_rng(0)
    embeddings = torch.from_numpy(rng.normal(size=(400, 300)).astype(np.float32))
    labels = rng.integers(0, 4, 400).astype(np.int32)
    head = fit_head(embeddings, labels, list("abcd"), seed=0)
    assert accuracy(head(embeddings), torch.from_numpy(labels)) > 0.6
    assert float(head.facts["accuracy"]) < 0.5
    assert head.facts["held_out"] == "40"


def test_the_same_seed_gives_the_same_head_and_unlabelled_rows_change_nothing():
    embeddings, labels = blobs(200, distance=3.0)
    first = fit_head(embeddings, labels, CLASSES, seed=4)
    with_more = torch.cat([embeddings, 1e6 * torch.ones(50, 8)])
    second = fit_head(with_more, np.append(labels, np.full(50, -1, np.int32)), CLASSES, seed=4)
    assert torch.equal(first.weight, second.weight)
    assert first.facts == second.facts
    assert not torch.equal(first.weight, fit_head(embeddings, labels, CLASSES, seed=5).weight)


@pytest.mark.parametrize(
    ("count", "labels", "match"),
    [
        (30, np.zeros(30, np.int32), "two classes"),
        (30, np.zeros(29, np.int32), "29 labels"),
        (5, np.arange(5, dtype=np.int32), "20"),
    ],
)
def test_too_little_to_fit_on_is_told(count: int, labels: np.ndarray, match: str):
    with pytest.raises(UsageError, match=match):
        fit_head(torch.randn(count, 4), labels, CLASSES, seed=0)


def test_a_head_file_comes_back_as_it_went(resnet, tmp_path: Path):
    head = fit_head(*blobs(200, distance=3.0), CLASSES, seed=0)
    record = save_head(head, tmp_path / "h.safetensors", teacher=resnet.spec, dataset="blobs", fingerprint="f00")
    back, again = load_head(tmp_path / "h.safetensors")
    assert record == again
    assert torch.equal(back.weight, head.weight)
    assert torch.equal(back.bias, head.bias)
    assert back.classes == head.classes
    assert back.facts["accuracy"] == head.facts["accuracy"]
    assert back.facts["dataset"] == "blobs"
    assert back.facts["fingerprint"] == "f00"
    assert back.facts["teacher_weights"] == resnet.spec.weights.sha256


@pytest.mark.parametrize("norm", ["none", "l2", "layer"])
def test_each_norm_does_what_it_says(norm, tmp_path: Path, resnet):
    weight, bias, gain, shift = torch.randn(3, 5), torch.randn(3), torch.randn(5), torch.randn(5)
    norms = {"norm_weight": gain, "norm_bias": shift} if norm == "layer" else {}
    head = Head(weight, bias, norm=norm, eps=1e-3, **norms)
    save_head(head, tmp_path / "h.safetensors", teacher=resnet.spec, dataset="d", fingerprint="f")
    embedding = torch.randn(4, 5)
    prepared = {
        "none": embedding,
        "l2": embedding / embedding.norm(dim=1, keepdim=True),
        "layer": F.layer_norm(embedding, (5,), gain, shift, 1e-3),
    }[norm]
    expected = prepared @ weight.T + bias
    torch.testing.assert_close(load_head(tmp_path / "h.safetensors")[0](embedding), expected)


def test_a_file_that_is_no_head_is_refused(save, tmp_path: Path):
    with pytest.raises(UsageError, match="is not a head"):
        load_head(save({"w": torch.zeros(2, 2)}, tmp_path / "w.safetensors"))
    with pytest.raises(UsageError, match="do not fit"):
        load_head(save({"weight": torch.zeros(2, 4), "bias": torch.zeros(3)}, tmp_path / "b.safetensors"))


def test_a_head_gives_the_logits_and_its_class_names(resnet, tmp_path: Path, pixels):
    head = Head(torch.randn(3, 512), torch.randn(3), classes=tuple(CLASSES), facts={"accuracy": "0.5"})
    record = save_head(head, tmp_path / "h.safetensors", teacher=resnet.spec, dataset="d", fingerprint="f")
    teacher = open_teacher(
        "timm:resnet18",
        weights="random",
        input_size=32,
        head=str(tmp_path / "h.safetensors"),
        signals=["logits"],
        precision="bfloat16",
    )
    assert teacher.spec.head == record
    assert teacher.spec.classes == tuple(CLASSES)
    rough = open_teacher("timm:resnet18", weights="random", input_size=32, signals=["embedding"], precision="bfloat16")
    views = pixels(2, (32, 32))
    expected = rough.emit(Shown(views))["embedding"] @ head.weight.T + head.bias
    torch.testing.assert_close(
        teacher.emit(Shown(views))["logits"], expected, msg="a head runs in float32 under autocast too"
    )


def test_a_head_for_another_teacher_is_refused(resnet, tmp_path: Path):
    path = tmp_path / "h.safetensors"
    facts = {"teacher_weights": "0" * 64, "teacher": "florence base"}
    head = Head(torch.zeros(3, 512), torch.zeros(3), facts=facts)
    with pytest.raises(Mismatch, match="fitted on florence base") as caught:
        check_fits(head, name="timm:resnet18", weights=resnet.spec.weights)
    assert "fit-head" in str(caught.value.hint)
    save_head(Head(torch.zeros(3, 7), torch.zeros(3)), path, teacher=resnet.spec, dataset="d", fingerprint="f")
    with pytest.raises(Mismatch, match="embeddings of 7 numbers, but the teacher emits 512"):
        open_teacher("timm:resnet18", weights="random", input_size=32, head=str(path))
    with pytest.raises(Unavailable, match="no head at"):
        open_teacher("timm:resnet18", weights="random", input_size=32, head=str(tmp_path / "gone"))


def test_half_a_head_is_never_left_behind(resnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "h.safetensors"
    head = Head(torch.zeros(3, 7), torch.zeros(3))
    save_head(head, path, teacher=resnet.spec, dataset="first", fingerprint="f")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="disk full"):
        save_head(head, path, teacher=resnet.spec, dataset="second", fingerprint="f")
    assert load_head(path)[0].facts["dataset"] == "first"
    assert json.loads(load_head(path)[0].facts["preprocess"])["size"] == [32, 32]
