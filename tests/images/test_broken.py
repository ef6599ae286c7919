"""Broken, hostile and foreign bytes give BadImage with a reason, and nothing else."""

import io
import os
import struct
import tracemalloc
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kdcache.errors import BadImage
from kdcache.images.decode import MAX_PIXELS, decode
from tests.images.samples import FORMATS, encode, picture, png

PIXELS_WHOLE_WITHOUT_THE_END = {"GIF"}
"""its end mark comes after all pixels, and its reader does not wait for it"""


@cache
def sample(form: str) -> bytes:
    return encode(picture(), form)


@pytest.mark.parametrize("form", FORMATS)
def test_a_truncated_image_is_refused_wherever_it_was_cut(form):
    raw, whole = sample(form), decode(sample(form))
    cuts = sorted({*range(0, len(raw), max(1, len(raw) // 150)), *range(len(raw) - 12, len(raw))})
    for cut in cuts:
        if form in PIXELS_WHOLE_WITHOUT_THE_END and cut >= len(raw) - 2:
            assert np.array_equal(decode(raw[:cut]), whole)
            continue
        with pytest.raises(BadImage):
            decode(raw[:cut])


def test_a_truncated_progressive_jpeg_is_refused():
    raw = encode(picture(), "JPEG", progressive=True)
    for cut in range(len(raw) // 2, len(raw)):
        with pytest.raises(BadImage, match="JPEG is truncated"):
            decode(raw[:cut])


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_flipped_bytes_never_crash(data):
    raw = bytearray(sample(data.draw(st.sampled_from(sorted(FORMATS)))))
    places = data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=6))
    for place in places:
        raw[place] ^= data.draw(st.integers(1, 255))
    try:
        pixels = decode(bytes(raw))
    except BadImage:
        return
    assert pixels.dtype == np.uint8
    assert pixels.shape[2:] == (3,)


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, 10_000), change=st.integers(1, 255))
def test_a_flipped_byte_in_a_png_is_always_found(place, change):
    raw = bytearray(sample("PNG"))
    raw[place % len(raw)] ^= change
    with pytest.raises(BadImage):
        decode(bytes(raw))


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\xff\xd8\xff", b"GIF89a", b"II*\0", b"BM", b"P6\n", b"RIFF....WEBPVP8X"]),
)
def test_random_bytes_are_no_image(body, magic):
    try:
        decode(magic + body)
    except BadImage:
        return


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "empty file"),
        (b"\0", "not an image"),
        (b"<html>gone</html>", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not an image"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC is not supported"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isomiso2", "not an image"),
        (png(2, 1, 8, 3, [b"\0\0"]), "palette is missing"),
    ],
)
def test_what_is_no_image_says_so(raw, reason):
    with pytest.raises(BadImage) as caught:
        decode(raw)
    assert str(caught.value) == reason


def bombs() -> dict[str, bytes]:
    side = struct.pack("<HH", 65535, 65535)
    vp8x = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x10\0\0\0" + (16000).to_bytes(3, "little") * 2
    tiff = bytearray(sample("TIFF"))
    for tag in (256, 257):
        place = tiff.find(struct.pack("<H", tag), 4)
        struct.pack_into("<HHII", tiff, place, tag, 4, 1, 60000)
    jpeg = bytearray(sample("JPEG"))
    struct.pack_into(">HH", jpeg, jpeg.find(b"\xff\xc0") + 5, 65000, 65000)
    bmp = bytearray(sample("BMP"))
    struct.pack_into("<ii", bmp, 18, 60000, 60000)
    return {
        "PNG": png(60000, 60000, 8, 2, [b""]),
        "GIF": b"GIF89a" + side + b"\0\0\0," + b"\0\0\0\0" + side + b"\0\x02\0;",
        "WEBP": b"RIFF" + struct.pack("<I", 30) + vp8x + sample("WEBP")[12:],
        "TIFF": bytes(tiff),
        "JPEG": bytes(jpeg),
        "BMP": bytes(bmp),
        "PPM": b"P6\n60000 60000\n255\n",
    }


@pytest.mark.parametrize("form", ["PNG", "GIF", "WEBP", "TIFF", "JPEG", "BMP", "PPM"])
def test_a_decompression_bomb_is_refused_before_any_memory_is_taken(form):
    raw = bombs()[form]
    tracemalloc.start()
    before = resident()
    with pytest.raises(BadImage, match=f"more than {MAX_PIXELS} pixels"):
        decode(raw)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    assert resident() - before < 50_000_000
    tracemalloc.stop()


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_the_pixel_limit_can_be_chosen():
    with pytest.raises(BadImage, match="48 x 32 is more than 1000 pixels"):
        decode(sample("JPEG"), max_pixels=1000)
    assert decode(sample("JPEG"), max_pixels=48 * 32).shape == (32, 48, 3)


def test_a_broken_tiff_prints_nothing(capfd):
    raw = bytearray(sample("TIFF"))
    place = raw.find(struct.pack("<HH", 277, 3))
    struct.pack_into("<H", raw, place + 8, 2048)
    with pytest.raises(BadImage):
        decode(bytes(raw))
    assert capfd.readouterr() == ("", "")


def test_bits_do_not_depend_on_what_was_decoded_before():
    once = {form: decode(sample(form)) for form in FORMATS}
    Image.open(io.BytesIO(sample("JPEG"))).draft("RGB", (8, 8))
    for form in reversed(list(FORMATS)):
        assert np.array_equal(decode(sample(form)), once[form])
