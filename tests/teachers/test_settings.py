"""The settings a network runs under are part of who a teacher is: weights alone do not tell its activation or its heads."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from kdcache.errors import Mismatch
from kdcache.signals.shown import Shown
from kdcache.signals.teacher import Weights
from kdcache.teachers.registry import open_teacher
from kdcache.teachers.reopen import check_same, reopen_teacher
from tests.teachers.clip_paper import write_tokenizer
from tests.teachers.test_clip import transformers_model as transformers_model
from tests.teachers.test_clip import write_processor
from tests.teachers.test_data2vec import settings as fairseq
from tests.teachers.test_data2vec import tensors as tensors
from tests.teachers.test_data2vec import write as write_fairseq
from tests.teachers.test_donut import encoder as encoder
from tests.teachers.test_donut import whole_folder as whole_folder
from tests.teachers.test_hf import vit as vit
from tests.teachers.test_hf import write as write_hf


def changed(folder: Path, way: str, value: Any, name: str = "config.json") -> None:
    """One setting of a JSON file, set anew (None: taken out)."""
    settings = json.loads((folder / name).read_text())
    *outer, last = way.split(".")
    here = settings
    for step in outer:
        here = here[step]
    here.pop(last) if value is None else here.update({last: value})
    (folder / name).write_text(json.dumps(settings))


def refused(spec: Any, path: Path, what: str = "settings") -> None:
    with pytest.raises(Mismatch, match=f"not the teacher of the cache: {what}") as caught:
        reopen_teacher(spec, device="cpu", weights=str(path))
    assert caught.value.exit_code == 6


@pytest.mark.parametrize(
    ("setting", "value"), [("hidden_act", "relu"), ("num_attention_heads", 4), ("layer_norm_eps", 1e-3)]
)
def test_a_changed_setting_of_transformers_is_another_teacher(vit: Any, tmp_path: Path, setting: str, value: Any):
    folder = Path(write_hf(vit, tmp_path / "my-vit"))
    spec = open_teacher(f"hf:{folder}").spec
    assert reopen_teacher(spec, device="cpu", weights=str(folder)).spec == spec
    changed(folder, setting, value)
    refused(spec, folder)


def test_what_changes_no_number_makes_no_stranger(vit: Any, tmp_path: Path):
    folder = Path(write_hf(vit, tmp_path / "my-vit"))
    spec = open_teacher(f"hf:{folder}").spec
    for setting, value in (
        ("transformers_version", "9.9"),
        ("_name_or_path", "/home/somebody/vit"),
        ("dtype", "float16"),
        ("initializer_range", 0.5),
        ("qkv_bias", None),  # left out, it is transformers' default
    ):
        changed(folder, setting, value)
        assert reopen_teacher(spec, device="cpu", weights=str(folder)).spec == spec, setting


def test_a_config_that_says_half_precision_does_not_round_the_weights(vit: Any, tmp_path: Path, pixels: Any):
    folder = Path(write_hf(vit, tmp_path / "my-vit"))
    exact = open_teacher(f"hf:{folder}").emit(Shown(pixels(2, (32, 32))))["logits"]
    changed(folder, "dtype", "float16")
    assert torch.equal(open_teacher(f"hf:{folder}").emit(Shown(pixels(2, (32, 32))))["logits"], exact)


@pytest.mark.parametrize("side", ["vision", "text"])
def test_a_changed_activation_of_clip_is_another_teacher(transformers_model: Any, tmp_path: Path, side: str):
    transformers_model.save_pretrained(tmp_path)
    write_processor(tmp_path)
    write_tokenizer(tmp_path)
    spec = open_teacher("clip", weights=str(tmp_path), signals=["logits"], classes=["cat", "dog"]).spec
    assert reopen_teacher(spec, device="cpu", weights=str(tmp_path)).spec == spec
    changed(tmp_path, f"{side}_config.hidden_act", "relu")
    refused(spec, tmp_path, "settings" if side == "vision" else "settings of the text tower")


def test_open_clips_activation_counts_too(open_clip_folder: Path):
    spec = open_teacher("clip", weights=str(open_clip_folder), signals=["embedding"]).spec
    changed(open_clip_folder, "model_cfg.quick_gelu", None, "open_clip_config.json")
    refused(spec, open_clip_folder)


def test_a_changed_setting_of_donut_is_another_teacher(whole_folder: Path):
    spec = open_teacher("donut", weights=str(whole_folder), signals=["embedding"]).spec
    changed(whole_folder, "encoder.hidden_act", "relu")
    refused(spec, whole_folder)


def test_other_heads_of_florence_are_another_teacher(randomised: Any, tmp_path: Path):
    from tests.teachers.test_florence import florence2

    widths = {"embed_dim": [8, 16, 24, 32], "depths": [1, 1, 2, 1], "window_size": 7}
    heads = {"num_heads": [2, 2, 3, 4], "num_groups": [2, 2, 3, 4]}
    randomised(florence2({**widths, **heads}, False)).save_pretrained(tmp_path)
    spec = open_teacher("florence", weights=str(tmp_path), signals=["embedding"], input_size=224).spec
    for name in heads:
        changed(tmp_path, name, [1, 2, 3, 4])
    refused(spec, tmp_path)


def test_the_name_of_the_weights_does_not_hide_other_heads():
    """fairseq's configuration is inside the file, whose sha256 is compared first; the digest still tells the heads apart."""
    from kdcache.networks.data2vec_shape import Data2VecShape
    from kdcache.teachers.loading.settings import settings_digest

    shape = Data2VecShape(image=32, patch=8, dim=32, heads=2, prenet=1, depth=2, targets=1)
    assert settings_digest(shape) != settings_digest(shape.model_copy(update={"heads": 4}))


def test_plans_from_before_settings_were_kept_keep_their_identity_and_fit(vit: Any, tmp_path: Path):
    folder = Path(write_hf(vit, tmp_path / "my-vit"))
    spec = open_teacher(f"hf:{folder}").spec
    plain = spec.plain()
    del plain["weights"]["settings"]
    older = type(spec).from_plain(plain)
    assert "settings" not in older.model_dump(mode="json", exclude_defaults=True)["weights"]
    check_same(older, spec)


def test_a_teacher_from_the_package_has_no_settings_of_its_own():
    for name in ("florence", "clip"):
        assert open_teacher(name, size="nano", signals=["embedding"]).spec.weights.settings is None
    assert Weights(source="package:x", sha256="0").settings is None


def test_fairseqs_record_is_kept(tensors: Any, tmp_path: Path):
    path = write_fairseq(tensors, tmp_path / "d2v.pt", fairseq())
    spec = open_teacher("data2vec", weights=path, signals=["embedding"]).spec
    assert spec.weights.settings
    assert reopen_teacher(spec, device="cpu", weights=path).spec == spec
