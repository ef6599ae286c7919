"""What lies under transparent pixels is a choice: a colour, or alpha is dropped. Opaque images never mind."""

import io
import struct

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from kdcache.errors import UsageError
from kdcache.images.background import canonical, colour_of, described
from kdcache.images.decode import decode
from kdcache.views.recipe import Geometry, Plain, on
from tests.images.odd import odd_images, with_alpha
from tests.images.samples import encode, png

TRANSPARENT = {
    "clear.gif", "grey16-key.png", "key-colour.png", "la.png", "palette-alpha.png", "palette-one-clear.png",
    "premultiplied.tif", "rgba.png", "rgba.tif", "rgba.webp", "turned-5.webp", "turned-8.png",
}  # fmt: skip


def row(raw: bytes, background: str) -> list[list[int]]:
    return decode(raw, background=background)[0].tolist()


def test_transparent_pixels_lie_on_the_colour_that_is_named():
    rgba = Image.fromarray(np.array([[[200, 0, 0, 255], [9, 8, 7, 0], [0, 0, 0, 51]]], np.uint8))
    for form in ("PNG", "WEBP", "TIFF"):
        raw = encode(rgba, form, **({"exact": True} if form == "WEBP" else {}))
        assert row(raw, "black") == [[200, 0, 0], [0, 0, 0], [0, 0, 0]]
        assert row(raw, "10,100,200") == [[200, 0, 0], [10, 100, 200], [8, 80, 160]]
        assert row(raw, "drop") == [[200, 0, 0], [9, 8, 7], [0, 0, 0]]


def test_a_key_colour_of_sixteen_bits_lies_on_it_too():
    raw = png(2, 1, 16, 0, [struct.pack(">2H", 1, 512)], (b"tRNS", struct.pack(">H", 1)))
    assert row(raw, "10,100,200") == [[10, 100, 200], [2, 2, 2]]
    assert row(raw, "drop") == [[0, 0, 0], [2, 2, 2]]


def test_left_out_it_is_white():
    for name, raw in odd_images().items():
        assert np.array_equal(decode(raw), decode(raw, background="white")), name


def test_only_images_with_transparency_mind():
    assert with_alpha(lambda raw, background: decode(raw, background=background)) == TRANSPARENT


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
def test_dropped_alpha_is_what_convert_shows():
    for name in TRANSPARENT - {"turned-5.webp", "turned-8.png", "grey16-key.png"}:
        raw = odd_images()[name]
        assert np.array_equal(decode(raw, background="drop"), Image.open(io.BytesIO(raw)).convert("RGB")), name


@pytest.mark.parametrize(
    "text", ["", "White", "none", "#ffffff", "1,2", "1,2,3,4", "256,0,0", "-1,0,0", "1.0,2,3", "١,٢,٣"]
)
def test_what_is_no_background_is_refused_with_what_is_one(text):
    with pytest.raises(ValueError, match="white, black, drop"):
        canonical(text)
    with pytest.raises(UsageError) as caught:
        on(Plain(fit="crop"), text)
    assert caught.value.hint is not None
    assert "white, black, drop" in caught.value.hint


def test_one_colour_is_written_one_way():
    assert [canonical(text) for text in ("255, 255,255", "0,0,0", "007,8,9")] == ["white", "black", "7,8,9"]
    assert on(Plain(fit="crop"), "255,255,255") == Plain(fit="crop")
    assert Plain(fit="crop", background="0,0,0").background == "black"
    assert (colour_of("7,8,9"), colour_of("drop")) == ((7, 8, 9), None)
    assert (described("drop"), described("7,8,9")) == ("alpha dropped", "transparency on 7,8,9")


def test_a_preset_of_a_student_does_not_decide_it():
    from students.families.tinyvit.spec import TinyViTPreset

    geometry = {"fit": "crop", "background": "black"}
    plain = {
        "family": "tinyvit",
        "network": "tiny_vit_5m_224",
        "input": 32,
        "drop_path": 0.0,
        "mean": [0, 0, 0],
        "std": [1, 1, 1],
    }
    with pytest.raises(ValidationError, match="from the views of its training"):
        TinyViTPreset.from_plain({**plain, "geometry": geometry, "enlarged": {"fit": "crop"}})
    assert Geometry is not Plain
