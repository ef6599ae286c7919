"""The presets hold the numbers of the papers, and a recipe that makes no sense is refused with its field named."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from kdcache.views.recipe import Augment, Plain

CONFIGS = Path(__file__).parents[2] / "configs" / "views"
Preset = Callable[[str], Augment]


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_is_complete_and_names_its_source(path: Path) -> None:
    plain = yaml.safe_load(path.read_text())
    assert set(plain) == set(Augment.model_fields)
    assert Augment.from_plain(plain).plain() == Augment.from_plain(Augment.from_plain(plain).plain()).plain()
    assert path.read_text().startswith("# ")


def test_the_presets_there_are() -> None:
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == {"augment", "data2vec", "tinyvit-1k", "tinyvit-22k"}


def test_augment_is_the_recipe_of_tinyvit_22k(preset: Preset) -> None:
    assert preset("augment") == preset("tinyvit-22k")


def test_tinyvit_presets_differ_in_mixing_only(preset: Preset) -> None:
    assert preset("tinyvit-1k").mix is not None
    assert preset("tinyvit-1k").model_copy(update={"mix": None}) == preset("tinyvit-22k")


def test_tinyvit_means_rand_m9_mstd05_inc1(preset: Preset) -> None:
    judge = pytest.importorskip("timm.data.auto_augment")
    theirs = judge.rand_augment_transform("rand-m9-mstd0.5-inc1", {})
    ours = preset("tinyvit-22k").randaugment
    assert ours is not None
    op = theirs.ops[0]
    assert (ours.layers, ours.magnitude, ours.std, ours.probability) == (
        theirs.num_layers,
        op.magnitude,
        op.magnitude_std,
        op.prob,
    )
    assert ours.increasing


def test_tinyvit_crops_and_erases_as_timm_by_default(preset: Preset) -> None:
    factory = pytest.importorskip("timm.data.transforms_factory")
    theirs = factory.transforms_imagenet_train(
        224, auto_augment="rand-m9-mstd0.5-inc1", interpolation="bicubic", re_prob=0.25, re_mode="pixel"
    ).transforms
    names = [type(step).__name__ for step in theirs]
    assert "ColorJitter" not in names  # what `jitter: null` stands for
    crop, erase, recipe = theirs[0], theirs[-1], preset("tinyvit-22k")
    assert (recipe.crop.scale, recipe.crop.ratio) == (tuple(crop.scale), pytest.approx(tuple(crop.ratio)))
    assert recipe.flip == theirs[1].p
    assert recipe.erase is not None
    assert (recipe.erase.probability, recipe.erase.area) == (erase.probability, (erase.min_area, erase.max_area))
    assert [math.log(r) for r in recipe.erase.ratio] == pytest.approx(erase.log_aspect_ratio)


CROP = {"scale": [0.08, 1.0], "ratio": [0.75, 1.3], "interpolation": "bicubic"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"crop": CROP | {"scale": [1.0, 0.08]}}, "crop.scale"),
        ({"crop": CROP | {"scale": [0.0, 1.0]}}, "crop.scale.0"),
        ({"crop": CROP | {"scale": [0.5, 1.5]}}, "crop.scale.1"),
        ({"crop": CROP | {"ratio": [0.0, 1.0]}}, "crop.ratio.0"),
        ({"crop": CROP | {"ratio": [1.0, float("inf")]}}, "crop.ratio.1"),
        ({"crop": CROP | {"interpolation": "cubic"}}, "crop.interpolation"),
        ({"flip": 1.5}, "flip"),
        ({"flip": float("nan")}, "flip"),
        ({"flips": 0.5}, "flips"),
        ({"jitter": {"hue": 0.6}}, "jitter.hue"),
        ({"jitter": {"contrast": -0.1}}, "jitter.contrast"),
        ({"erase": {"probability": 0.5, "area": [0.3, 0.1], "ratio": [0.3, 3.3]}}, "erase.area"),
        ({"mix": {"probability": 1.0, "mixup_alpha": 0.0, "cutmix_alpha": 0.0, "switch": 0.5}}, "mix"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(change: dict[str, Any], field: str) -> None:
    Augment.from_plain({"crop": CROP, "flip": 0.5})
    with pytest.raises(ValidationError) as refusal:
        Augment.from_plain({"crop": CROP, "flip": 0.5} | change)
    assert {".".join(map(str, error["loc"])) for error in refusal.value.errors()} == {field}


def test_a_crop_share_of_nothing_is_refused() -> None:
    with pytest.raises(ValidationError):
        Plain.from_plain({"fit": "crop", "crop_pct": 0.0})
