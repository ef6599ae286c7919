"""Whatever a file holds becomes upright 8-bit RGB."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from kdcache.errors import BadImage, UsageError
from kdcache.images.decode import decode
from tests.images.samples import FORMATS, LOSSLESS, chunk, encode, grey, picture, png


def row(raw: bytes) -> list[list[int]]:
    return decode(raw)[0].tolist()


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_the_pixels_pillow_gives(form):
    raw = encode(picture(), form)
    pixels = decode(raw)
    assert np.array_equal(pixels, np.asarray(Image.open(io.BytesIO(raw)).convert("RGB")))
    assert pixels.shape == (32, 48, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.writeable
    assert pixels.flags.c_contiguous


@pytest.mark.parametrize("form", LOSSLESS)
def test_lossless_formats_give_back_what_was_put_in(form):
    assert np.array_equal(decode(encode(picture(), form)), np.asarray(picture()))


def test_black_and_white_and_palette_and_grey_become_rgb():
    for raw in (
        encode(grey([0, 255], np.uint8).convert("1"), "PNG"),
        encode(grey([0, 255], np.uint8).convert("1"), "TIFF", compression="group4"),
        encode(grey([0, 255], np.uint8), "PNG"),
        encode(grey([0, 255], np.uint8).convert("P"), "PNG"),
        encode(grey([0, 255], np.uint8).convert("P"), "GIF"),
        b"P4\n2 1\n\x80",
    ):
        assert row(raw) == [[0, 0, 0], [255, 255, 255]]


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_and_not_clipped(form):
    raw = encode(grey([0, 256, 32768, 40000, 65535], np.uint16), form)
    assert [r for r, _, _ in row(raw)] == [0, 1, 128, 156, 255]


def test_sixteen_bit_colour_and_grey_of_one_picture_agree():
    values = [0, 300, 40000, 65535]
    grey16 = png(4, 1, 16, 0, [struct.pack(">4H", *values)])
    colour16 = png(4, 1, 16, 2, [struct.pack(">12H", *(v for v in values for _ in range(3)))])
    assert row(grey16) == row(colour16)


def test_a_sixteen_bit_tiff_whose_zero_is_white_is_turned_round():
    raw = bytearray(encode(grey([0, 65535], np.uint16), "TIFF"))
    tag = raw.find(struct.pack("<HHI", 262, 3, 1))
    struct.pack_into("<H", raw, tag + 8, 0)
    assert [r for r, _, _ in row(bytes(raw))] == [255, 0]


def test_pgm_of_an_odd_depth_spans_black_to_white():
    assert [r for r, _, _ in row(b"P5\n3 1\n1000\n" + struct.pack(">3H", 0, 500, 1000))] == [0, 128, 255]


def test_wide_integers_and_floats_are_read_in_their_usual_range_and_refused_outside():
    assert [r for r, _, _ in row(encode(grey([0, 32768, 65535], np.int32), "TIFF"))] == [0, 128, 255]
    assert [r for r, _, _ in row(encode(grey([0, 0.5, 1], np.float32), "TIFF"))] == [0, 128, 255]
    for values, dtype in (([0, 70000], np.int32), ([-1, 5], np.int32), ([0, 255], np.float32), ([np.nan], np.float32)):
        with pytest.raises(BadImage, match="not within"):
            decode(encode(grey(values, dtype), "TIFF"))


def test_transparent_pixels_lie_on_white():
    rgba = Image.fromarray(np.array([[[200, 0, 0, 255], [9, 9, 9, 0], [0, 0, 0, 51]]], np.uint8))
    for form in ("PNG", "WEBP", "TIFF"):
        assert row(encode(rgba, form)) == [[200, 0, 0], [255, 255, 255], [204, 204, 204]]
    grey_alpha = Image.fromarray(np.array([[[0, 255], [0, 0]]], np.uint8))
    assert row(encode(grey_alpha, "PNG")) == [[0, 0, 0], [255, 255, 255]]


def test_a_transparent_key_colour_lies_on_white():
    key = (b"tRNS", struct.pack(">H", 1))
    assert row(png(2, 1, 8, 0, [bytes([1, 2])], key)) == [[255, 255, 255], [2, 2, 2]]
    assert row(png(2, 1, 16, 0, [struct.pack(">2H", 1, 512)], key)) == [[255, 255, 255], [2, 2, 2]]
    palette = ((b"PLTE", bytes([10, 20, 30, 40, 50, 60])), (b"tRNS", bytes([0])))
    assert row(png(2, 1, 8, 3, [bytes([0, 1])], *palette)) == [[255, 255, 255], [40, 50, 60]]


def test_cmyk_jpeg_is_not_inverted():
    magenta = Image.new("CMYK", (8, 8), (0, 255, 0, 0))
    for form in ("JPEG", "TIFF"):
        assert row(encode(magenta, form))[0] == [255, 0, 255]


def test_ycck_is_told_from_cmyk_by_adobes_marker():
    rng = np.random.default_rng(0)
    cmyk = bytearray(
        encode(Image.fromarray(rng.integers(0, 256, (8, 8, 4), dtype=np.uint8), "CMYK"), "JPEG", quality=95)
    )
    ycck = bytearray(cmyk)
    ycck[ycck.find(b"Adobe") + 11] = 2
    for raw in (bytes(cmyk), bytes(ycck)):
        assert np.array_equal(decode(raw), np.asarray(Image.open(io.BytesIO(raw)).convert("RGB")))
    assert not np.array_equal(decode(bytes(cmyk)), decode(bytes(ycck)))


def test_a_colour_mode_without_a_plain_conversion_is_refused():
    with pytest.raises(BadImage, match="colour mode LAB"):
        decode(encode(Image.new("LAB", (2, 2)), "TIFF"))


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_an_animated_image_is_its_first_frame(form):
    first, second = Image.new("RGB", (8, 8), (200, 40, 40)), Image.new("RGB", (8, 8), (0, 0, 255))
    options = {"quality": 100, "subsampling": "4:4:4"} if form == "AVIF" else {}
    raw = encode(first, form, save_all=True, append_images=[second], **options)
    assert np.abs(decode(raw).astype(int) - (200, 40, 40)).max() <= 1


def test_the_content_decides_and_not_the_name(every_format):
    from kdcache.images import load, open_source

    (every_format / "PNG.png").rename(every_format / "really-a-png.jpg")
    assert np.array_equal(load(open_source(str(every_format)), "really-a-png.jpg"), np.asarray(picture()))


@pytest.mark.parametrize("tag", range(10))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_the_orientation_tag_is_applied_once(form, tag):
    exif = Image.Exif()
    exif[0x0112] = tag
    raw = encode(picture(24, 16), form, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(raw))).convert("RGB")
    assert np.array_equal(decode(raw), np.asarray(expected))


def test_an_exif_block_that_is_broken_says_nothing():
    exif = Image.Exif()
    exif[0x0112] = 6
    block = exif.tobytes()
    for cut in range(6, len(block)):
        raw = encode(picture(24, 16), "JPEG", exif=block[:cut])
        assert decode(raw).shape in ((16, 24, 3), (24, 16, 3))
    assert decode(encode(picture(24, 16), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")).shape == (16, 24, 3)


def test_text_and_profiles_in_a_png_do_not_matter():
    plain = encode(picture(), "PNG")
    bomb = chunk(b"zTXt", b"key\0\0" + b"not zlib at all") + chunk(b"iCCP", b"x") + chunk(b"acTL", b"?")
    assert np.array_equal(decode(plain[:33] + bomb + plain[33:]), np.asarray(picture()))


def test_a_changed_setting_of_pillow_is_noticed_and_never_obeyed(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(UsageError, match="LOAD_TRUNCATED_IMAGES"):
        decode(encode(picture()))
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(UsageError, match="MAX_IMAGE_PIXELS is 1000"):
        decode(encode(picture()))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert decode(encode(picture())).shape == (32, 48, 3)
