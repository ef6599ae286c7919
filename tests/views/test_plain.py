"""Plain views are bit for bit those of the programs that teachers were published with, built here from torchvision and Pillow."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps
from pydantic import ValidationError

from kdcache.views import Drawn, apply
from kdcache.views.recipe import Interpolation, Plain, Shrink

transforms = pytest.importorskip("torchvision.transforms")
functional = pytest.importorskip("torchvision.transforms.functional")
Program = Callable[[Image.Image], Image.Image]
SIDES = st.one_of(st.integers(1, 4), st.integers(1, 300))
AUTHORS_PAGE = Shrink(interpolation="bicubic", sides="nearest", gap=2.0)


def picture(height: int, width: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(height * 10_000 + width).integers(0, 90, (height, width, 3))
    slope = (np.arange(height)[:, None] * 3 + np.arange(width)[None] * 5) % 166
    return (noise + slope[..., None]).astype(np.uint8)


def same(recipe: Plain, size: tuple[int, int], program: Program, height: int, width: int) -> bool:
    image = picture(height, width)
    return np.array_equal(apply(image, Drawn(plain=recipe), size), np.asarray(program(Image.fromarray(image))))


def resized_and_cut(edge: int, side: int) -> Program:
    """OpenAI's CLIP, open_clip, TinyViT, fairseq's data2vec: the shorter side bicubic, then the centre."""
    bicubic = transforms.InterpolationMode.BICUBIC
    program: Program = transforms.Compose([transforms.Resize(edge, interpolation=bicubic), transforms.CenterCrop(side)])
    return program


def donut(size: tuple[int, int], *, align: bool) -> Program:
    """A page as Donut's authors prepare it."""

    def prepare(page: Image.Image) -> Image.Image:
        across = (size[0] > size[1] and page.width > page.height) or (size[0] < size[1] and page.width < page.height)
        page = functional.rotate(page, angle=-90, expand=True) if align and across else page
        page = functional.resize(page, min(size))
        page.thumbnail((size[1], size[0]))
        right, below = size[1] - page.width, size[0] - page.height
        return ImageOps.expand(page, (right // 2, below // 2, right - right // 2, below - below // 2))

    return prepare


@given(SIDES, SIDES, st.sampled_from([(32, 32), (36, 32), (37, 32), (41, 33)]))
@settings(max_examples=150, deadline=None)
def test_resized_and_cut_as_torchvision_does(height: int, width: int, sides: tuple[int, int]) -> None:
    edge, side = sides
    recipe = Plain(fit="crop", crop_pct=side / edge, cut="round")
    assert same(recipe, (side, side), resized_and_cut(edge, side), height, width)


@given(SIDES, SIDES, st.sampled_from([(64, 48), (48, 64), (50, 50), (96, 31)]), st.booleans())
@settings(max_examples=200, deadline=None)
def test_pages_as_donuts_authors_prepare_them(height: int, width: int, size: tuple[int, int], align: bool) -> None:
    recipe = Plain(fit="pad", interpolation="bilinear", turn=align, shrink=AUTHORS_PAGE)
    assert same(recipe, size, donut(size, align=align), height, width)


@pytest.mark.parametrize("shape", [(1100, 1700), (1700, 1100), (700, 3500)], ids=str)
def test_a_page_of_donuts_published_size(shape: tuple[int, int]) -> None:
    recipe = Plain(fit="pad", interpolation="bilinear", turn=True, shrink=AUTHORS_PAGE)
    assert same(recipe, (2560, 1920), donut((2560, 1920), align=True), *shape)


@given(
    SIDES,
    SIDES,
    st.sampled_from([(64, 64), (48, 96), (33, 31)]),
    st.sampled_from([1.0, 0.875, 0.9, 0.95]),
    st.sampled_from(["center", "squash"]),
    st.sampled_from(["nearest", "bilinear", "bicubic", "lanczos"]),
)
@settings(max_examples=250, deadline=None)
def test_as_timm_evaluates(
    height: int, width: int, size: tuple[int, int], crop_pct: float, mode: str, interpolation: Interpolation
) -> None:
    timm_data = pytest.importorskip("timm.data.transforms_factory")
    judge = timm_data.transforms_imagenet_eval(
        size, crop_pct=crop_pct, crop_mode=mode, interpolation=interpolation, normalize=False
    )
    fit: Any = "crop" if mode == "center" else "squash"
    recipe = Plain(fit=fit, crop_pct=crop_pct, interpolation=interpolation, cut="round")
    assert same(recipe, size, lambda image: judge(image).permute(1, 2, 0).numpy(), height, width)


@pytest.mark.parametrize("turned", [False, True])
def test_a_picture_is_turned_only_where_it_lies_across(turned: bool) -> None:
    recipe, image = Plain(fit="squash", turn=True), picture(40, 60) if turned else picture(60, 40)
    expected = np.rot90(image, -1) if turned else image
    assert np.array_equal(apply(image, Drawn(plain=recipe), (60, 40)), expected)
    assert np.array_equal(apply(picture(50, 50), Drawn(plain=recipe), (50, 50)), picture(50, 50))


@pytest.mark.parametrize(
    "recipe",
    [
        Plain(fit="crop", cut="floor"),
        Plain(fit="squash", crop_pct=0.9, cut="round"),
        Plain(fit="pad", interpolation="bilinear", turn=True, shrink=AUTHORS_PAGE),
    ],
    ids=lambda recipe: recipe.fit,
)
def test_what_is_too_long_to_be_resized_whole_shows_the_same(recipe: Plain, monkeypatch: pytest.MonkeyPatch) -> None:
    """To within a few grey levels: the limit is lowered here, instead of half a GiB being filled."""
    y, x = np.mgrid[0:90, 0:400]
    image = np.stack([x / 2, y * 2, (x + y) / 3], axis=-1).astype(np.uint8)
    whole = apply(image, Drawn(plain=recipe), (64, 64))
    monkeypatch.setattr("kdcache.views.plain.MOST_PIXELS", 64 * 64)
    assert np.abs(apply(image, Drawn(plain=recipe), (64, 64)).astype(int) - whole).mean() < 2.0


def test_what_older_releases_wrote_reads_and_writes_the_same() -> None:
    """A field that came later is silent until it says something new; only the background is always written, for people."""
    words = {"kind": "plain", "fit": "crop", "crop_pct": 0.875, "interpolation": "bicubic"}
    old = Plain.from_plain(words)
    assert old.plain() == {**words, "background": "white"}
    assert json.loads(old.model_dump_json(exclude_defaults=True)) == {"fit": "crop", "crop_pct": 0.875}
    new = Plain(fit="pad", turn=True, shrink=AUTHORS_PAGE, cut="floor")
    assert Plain.from_plain(new.plain()) == new
    assert new.plain().keys() > words.keys()


@pytest.mark.parametrize("change", [{"fit": "crop"}, {"crop_pct": 0.9}])
def test_only_whole_pages_shrink(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="`shrink` requires"):
        Plain.from_plain({"fit": "pad", "shrink": AUTHORS_PAGE.plain(), **change})
