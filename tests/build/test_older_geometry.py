"""A cache keeps the preprocessing it was planned with: what a later release computes from the same processor is for new caches.

The first releases cut and resized in one call and passed over settings they did not know. Here one is planned as they planned
it, half of it is built, and everything that opens its teacher again must go on under its plan.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kdcache.base.progress import Silent
from kdcache.build.options import BuildOptions
from kdcache.build.prepare import prepare
from kdcache.build.resume import prepare_again
from kdcache.build.run import build
from kdcache.cache import Cache
from kdcache.check.sampling import VerifyOptions
from kdcache.check.verify import verify
from kdcache.errors import Mismatch, UsageError
from kdcache.store import Store
from kdcache.views.recipe import Plain

PROCESSOR = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": 36},
    "crop_size": {"height": 32, "width": 32},
}
STRANGE = {**PROCESSOR, "sharpen": 3}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, noise = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for row in range(12):
        pixels = noise.integers(0, 255, (40 + 3 * row, 71 - 2 * row, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{row:02}.png")
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    import torch
    import transformers

    torch.manual_seed(0)
    small = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    transformers.ResNetModel(small).save_pretrained(tmp_path / "resnet")
    return tmp_path / "resnet"


def teacher_at(model: Path, processor: dict[str, Any]) -> str:
    (model / "preprocessor_config.json").write_text(json.dumps(processor))
    return f"hf:{model}"


def options(photos: Path, model: Path, processor: dict[str, Any], **changes: Any) -> BuildOptions:
    usual: dict[str, Any] = {"signals": ("embedding",), "workers": 0, "devices": ("cpu",), "batch": 4, "part_rows": 4}
    usual["codecs"] = {"embedding": "float32"}
    return BuildOptions(teacher_at(model, processor), data=str(photos), **(usual | changes))


@pytest.fixture
def old(photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A third of a cache as the first releases planned it."""
    with monkeypatch.context() as before:
        first = Plain(fit="crop", crop_pct=32 / 36)
        before.setattr("kdcache.teachers.loading.processor_geometry.cropped", lambda *_: first)
        before.setattr("kdcache.teachers.loading.processor._check_keys", lambda *_: None)
        build(prepare(options(photos, model, STRANGE), tmp_path / "c"), only=(1, 3), progress=Silent())
    plan = json.loads((tmp_path / "c" / "plan.json").read_text())
    geometry = {"kind": "plain", "fit": "crop", "crop_pct": 32 / 36, "interpolation": "bicubic", "background": "white"}
    assert plan["views"]["recipe"] == plan["teacher"]["preprocess"]["geometry"] == geometry, "as they meant it"
    return tmp_path / "c"


def test_it_is_gone_on_with_under_its_plan(old: Path, photos: Path, model: Path) -> None:
    identity, weights = Store.open(old).plan.identity, str(model)
    ready = prepare_again(old, options(photos, model, STRANGE, weights=weights))
    assert build(ready, only=(2, 3), progress=Silent()).parts_built == 1
    assert build(prepare(options(photos, model, STRANGE), old), progress=Silent()).complete
    assert Store.open(old).plan.identity == identity
    report = verify(old, VerifyOptions(replay=12, teacher=12, weights=weights), Silent())
    assert report.ok, report.findings
    assert report.distance["embedding"] < 1e-6


def test_another_input_or_teacher_is_still_told_apart(old: Path, photos: Path, model: Path) -> None:
    with pytest.raises(Mismatch, match="--input-size"):
        prepare(options(photos, model, PROCESSOR, input_size=(64, 64)), old)
    with pytest.raises(Mismatch, match="--teacher: hf:resnet there, florence here"):
        prepare(BuildOptions("florence", size="nano", data=str(photos), signals=("embedding",), workers=0), old)


def test_a_new_cache_is_made_as_the_processor_says(old: Path, photos: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="sharpen is 3"):
        prepare(options(photos, model, STRANGE), tmp_path / "new")
    build(prepare(options(photos, model, STRANGE), old), progress=Silent())
    build(prepare(options(photos, model, PROCESSOR), tmp_path / "new"), progress=Silent())
    here, there = Cache.open(tmp_path / "new"), Cache.open(old)
    assert here.teacher.preprocess.geometry.cut == "floor"
    assert there.teacher.preprocess.geometry.cut == "once"
    first = here.ids[0]
    assert not np.array_equal(here[first]["embedding"], there[first]["embedding"])


def test_it_is_said_that_its_pixels_are_older(old: Path, photos: Path, model: Path, tmp_path: Path) -> None:
    asked = options(photos, model, PROCESSOR)
    (note,) = [note for note in prepare(asked, old).notes if "pixels" in note.text]
    assert "build another cache with --out" in note.text
    build(prepare(asked, tmp_path / "new"), progress=Silent())
    assert not [note for note in prepare(asked, tmp_path / "new").notes if "pixels" in note.text]
