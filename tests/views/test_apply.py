"""Applying gives uint8 of the wanted size for any image, agrees with timm, and shows the same view at every resolution."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from kdcache.views import Drawn, apply, draw
from kdcache.views.drawn import CropTry, DrawnCrop, Op
from kdcache.views.recipe import Augment, Crop, Erase, Plain, RandAugment, Shrink

WHOLE = DrawnCrop((CropTry(1.0, 0.0, 0.0, 0.0),), (0.75, 4 / 3), "bicubic")
RECIPES = (
    Plain(fit="crop"),
    Plain(fit="crop", crop_pct=0.875, interpolation="bilinear"),
    Plain(fit="squash", crop_pct=0.9, interpolation="lanczos"),
    Plain(fit="pad", interpolation="nearest"),
    Plain(fit="pad", crop_pct=0.5),
    Plain(fit="pad", crop_pct=0.7, cut="round", turn=True),
    Plain(fit="crop", crop_pct=0.9, cut="floor", turn=True),
    Plain(fit="squash", crop_pct=0.9, cut="round"),
    Plain(fit="pad", turn=True, shrink=Shrink(interpolation="bilinear", sides="floor", gap=2.0)),
    Plain(fit="pad", shrink=Shrink(interpolation="bicubic", sides="nearest", gap=2.0)),
    Augment(
        crop=Crop(scale=(0.08, 1.0), ratio=(0.75, 4 / 3), interpolation="bicubic"),
        flip=0.5,
        randaugment=RandAugment(layers=3, magnitude=9.0, std=0.5, probability=1.0, increasing=True),
        erase=Erase(probability=1.0, area=(0.02, 0.3), ratio=(0.3, 3.3)),
    ),
)
SIDES = st.one_of(st.integers(1, 3), st.integers(1, 600))


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean distance of two pictures in grey levels."""
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def shrunk(pixels: NDArray[np.uint8], times: int) -> NDArray[np.uint8]:
    return np.array(Image.fromarray(pixels).reduce(times))


@given(
    height=SIDES, width=SIDES, recipe=st.sampled_from(RECIPES), view=st.integers(0, 99), size=st.tuples(SIDES, SIDES)
)
@settings(max_examples=150, deadline=None)
def test_any_image_becomes_uint8_of_the_wanted_size(
    height: int, width: int, recipe: Plain | Augment, view: int, size: tuple[int, int]
) -> None:
    image = np.random.default_rng(view).integers(0, 256, (height, width, 3), dtype=np.uint8)
    drawn = draw(recipe, seed=0, image_id="a", view=view)
    pixels = apply(image, drawn, size)
    assert (pixels.shape, pixels.dtype) == ((*size, 3), np.uint8)
    assert pixels.flags.writeable
    assert np.array_equal(pixels, apply(image, drawn, size))


@pytest.mark.parametrize("recipe", [recipe for recipe in RECIPES if isinstance(recipe, Plain)], ids=str)
def test_a_strip_of_a_million_pixels_costs_no_memory(recipe: Plain) -> None:
    strip = np.zeros((1, 1_000_000, 3), np.uint8)
    assert apply(strip, Drawn(plain=recipe), (224, 224)).shape == (224, 224, 3)


def test_the_image_itself_is_never_changed(woven: NDArray[np.uint8]) -> None:
    before = woven.copy()
    for recipe in RECIPES:
        pixels = apply(woven, draw(recipe, seed=0, image_id="a", view=0), woven.shape[:2])
        pixels[:] = 0
    assert np.array_equal(woven, before)


@pytest.mark.parametrize(
    ("fit", "mode"), [("crop", "center"), ("squash", "squash"), ("pad", "border")], ids=("crop", "squash", "pad")
)
@pytest.mark.parametrize("crop_pct", [1.0, 0.875, 0.9])
@pytest.mark.parametrize("size", [(64, 64), (48, 96)], ids=str)
def test_plain_views_are_those_of_timm(
    fit: str, mode: str, crop_pct: float, size: tuple[int, int], smooth: NDArray[np.uint8]
) -> None:
    timm_data = pytest.importorskip("timm.data.transforms_factory")
    judge = timm_data.transforms_imagenet_eval(
        size, crop_pct=crop_pct, crop_mode=mode, interpolation="bicubic", mean=(0.0, 0.0, 0.0), normalize=False
    )
    recipe = Plain.from_plain({"fit": fit, "crop_pct": crop_pct})
    for image in (smooth, smooth[:, :200].copy(), smooth[:101, :99].copy()):
        theirs = judge(Image.fromarray(image)).permute(1, 2, 0).numpy()
        ours = apply(image, Drawn(plain=recipe), size)
        assert np.abs(ours.astype(int) - theirs).max() <= 1
        assert (ours != theirs).mean() < 0.03  # Pillow picks which side to resize first, and rounds in between


def test_pad_keeps_the_ratio_and_centres() -> None:
    white = np.full((50, 100, 3), 255, np.uint8)
    pixels = apply(white, Drawn(plain=Plain(fit="pad")), (64, 64))
    rows = np.flatnonzero(pixels.any(axis=(1, 2)))
    assert (rows[0], rows[-1]) == (16, 47)
    assert (pixels[16:48] == 255).all()


def test_a_whole_crop_is_a_resize(woven: NDArray[np.uint8]) -> None:
    square = woven[:, :120].copy()
    pixels = apply(square, Drawn(crop=WHOLE), (64, 64))
    assert np.array_equal(pixels, np.asarray(Image.fromarray(square).resize((64, 64), Image.Resampling.BICUBIC)))


def test_a_flip_mirrors(woven: NDArray[np.uint8]) -> None:
    upright = apply(woven, Drawn(crop=WHOLE), (40, 50))
    assert np.array_equal(apply(woven, Drawn(crop=WHOLE, flip=True), (40, 50)), upright[:, ::-1])


def test_the_same_view_agrees_at_two_resolutions(smooth: NDArray[np.uint8], everything: Augment) -> None:
    recipe = everything.model_copy(update={"randaugment": None, "erase": None})
    for view in range(20):
        drawn = draw(recipe, seed=1, image_id="a", view=view)
        small, large = apply(smooth, drawn, (64, 64)), apply(smooth, drawn, (256, 256))
        assert difference(small, shrunk(large, 4)) < 1.0
        other = draw(recipe, seed=1, image_id="a", view=view + 100)
        assert difference(small, apply(smooth, other, (64, 64))) > 5.0


@pytest.mark.parametrize(
    "op",
    [
        Op("rotate", 25.0),
        Op("shear_x", -0.28),
        Op("shear_y", 0.28),
        Op("translate_x", 0.41),
        Op("translate_y", -0.41),
        Op("posterize", 2),
        Op("solarize", 100),
        Op("autocontrast", None),
        Op("contrast", 0.3),
    ],
    ids=lambda op: op.name,
)
def test_operations_agree_at_two_resolutions(op: Op, smooth: NDArray[np.uint8]) -> None:
    drawn = Drawn(crop=WHOLE, ops=(op,))
    small, large = apply(smooth, drawn, (64, 64)), apply(smooth, drawn, (256, 256))
    assert difference(small, shrunk(large, 4)) < 2.5
    assert difference(small, apply(smooth, Drawn(crop=WHOLE), (64, 64))) > 4.0


def test_equalize_agrees_at_two_resolutions_up_to_its_whole_steps(smooth: NDArray[np.uint8]) -> None:
    drawn = Drawn(crop=WHOLE, ops=(Op("equalize", None),))
    small, large = apply(smooth, drawn, (128, 128)), apply(smooth, drawn, (256, 256))
    assert difference(small, shrunk(large, 2)) < 2.5  # Pillow cuts pixels / 255 to an integer: 5 % at 64 x 64


def test_a_smaller_copy_of_the_image_gives_the_same_view(smooth: NDArray[np.uint8], everything: Augment) -> None:
    recipe = everything.model_copy(update={"erase": None})
    half = shrunk(smooth, 2)
    for view in range(10):
        drawn = draw(recipe, seed=1, image_id="a", view=view)
        assert difference(apply(smooth, drawn, (48, 48)), apply(half, drawn, (48, 48))) < 4.0


def test_operations_are_applied_in_their_order(woven: NDArray[np.uint8]) -> None:
    first, second = Op("invert", None), Op("solarize_add", 90)
    one = apply(woven, Drawn(crop=WHOLE, ops=(first, second)), (32, 32))
    other = apply(woven, Drawn(crop=WHOLE, ops=(second, first)), (32, 32))
    plain = apply(woven, Drawn(crop=WHOLE), (32, 32))
    inverted = 255 - plain.astype(int)
    assert np.array_equal(one, np.where(inverted < 128, np.minimum(inverted + 90, 255), inverted))
    assert not np.array_equal(one, other)
