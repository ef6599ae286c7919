"""The operations are timm's: same list, same strengths, same pixels. timm itself is the judge."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from kdcache.views.randaugment import FILL, NAMES, strength, transform

TIMM_NAMES = {
    "autocontrast": "AutoContrast",
    "equalize": "Equalize",
    "invert": "Invert",
    "rotate": "Rotate",
    "posterize": "Posterize",
    "solarize": "Solarize",
    "solarize_add": "SolarizeAdd",
    "color": "Color",
    "contrast": "Contrast",
    "brightness": "Brightness",
    "sharpness": "Sharpness",
    "shear_x": "ShearX",
    "shear_y": "ShearY",
    "translate_x": "TranslateXRel",
    "translate_y": "TranslateYRel",
}
HAVE_INCREASING = {"posterize", "solarize", "color", "contrast", "brightness", "sharpness"}


def timm_name(name: str, increasing: bool) -> str:
    return TIMM_NAMES[name] + ("Increasing" if increasing and name in HAVE_INCREASING else "")


@pytest.mark.parametrize("increasing", [True, False])
def test_the_operations_are_those_of_timm_in_its_order(increasing: bool) -> None:
    judge = pytest.importorskip("timm.data.auto_augment")
    theirs = judge._RAND_INCREASING_TRANSFORMS if increasing else judge._RAND_TRANSFORMS
    assert [timm_name(name, increasing) for name in NAMES] == list(theirs)


@pytest.mark.parametrize("increasing", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_a_magnitude_means_what_it_means_to_timm(name: str, increasing: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = pytest.importorskip("timm.data.auto_augment")
    level = judge.LEVEL_TO_ARG[timm_name(name, increasing)]
    for magnitude in (0.0, 2.5, 7.3, 9.0, 9.7, 10.0):
        for negative in (False, True):
            monkeypatch.setattr(judge.random, "random", lambda negative=negative: 1.0 if negative else 0.0)
            theirs = level(magnitude, {})[0] if level else None
            assert strength(name, magnitude, negative, increasing) == pytest.approx(theirs)


@pytest.mark.parametrize("name", NAMES)
def test_pixels_are_those_of_timm(name: str, woven: NDArray[np.uint8]) -> None:
    judge = pytest.importorskip("timm.data.auto_augment")
    image = Image.fromarray(woven)
    for magnitude in (1.0, 6.0, 9.2):
        for negative in (False, True):
            value = strength(name, magnitude, negative, increasing=True)
            theirs = judge.NAME_TO_OP[timm_name(name, True)](
                image, *(() if value is None else (value,)), fillcolor=FILL, resample=Image.Resampling.BICUBIC
            )
            ours = transform(image, name, value, "bicubic")
            assert np.array_equal(np.asarray(ours), np.asarray(theirs))


def test_posterize_to_no_bits_is_black(woven: NDArray[np.uint8]) -> None:
    value = strength("posterize", 10.0, False, increasing=True)
    assert value == 0
    assert not np.asarray(transform(Image.fromarray(woven), "posterize", value, "bicubic")).any()


def test_hue_turns_red_to_green_to_blue() -> None:
    red = Image.new("RGB", (2, 2), (255, 0, 0))
    assert np.asarray(transform(red, "hue", 1 / 3, "bicubic"))[0, 0].argmax() == 1
    assert np.asarray(transform(red, "hue", -1 / 3, "bicubic"))[0, 0].argmax() == 2


def test_hue_is_that_of_torchvision(woven: NDArray[np.uint8]) -> None:
    functional = pytest.importorskip("torchvision.transforms.functional")
    image = Image.fromarray(woven)
    for share in (-0.4, -0.2, 0.2, 0.4):  # multiples of 1/255, where rounding cannot differ
        theirs = np.asarray(functional.adjust_hue(image, share))
        assert np.array_equal(np.asarray(transform(image, "hue", share, "bicubic")), theirs)


def test_what_is_uncovered_gets_the_mean_colour() -> None:
    black = Image.new("RGB", (20, 10))
    moved = np.asarray(transform(black, "translate_x", 0.45, "nearest"))
    assert (moved[:, -9:] == FILL).all()
    assert not moved[:, :-9].any()


def test_lanczos_recipes_can_rotate(woven: NDArray[np.uint8]) -> None:
    image = Image.fromarray(woven)
    assert transform(image, "rotate", 10.0, "lanczos") == transform(image, "rotate", 10.0, "bicubic")
