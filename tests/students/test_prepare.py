"""prepare.py of an exported folder makes of any file the pixels that kd makes of it, and needs nothing of kd."""

import ast
import io
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kdcache.errors import BadImage, UsageError
from kdcache.images.background import colour_of
from kdcache.images.decode import decode
from kdcache.views import Drawn, apply
from kdcache.views.recipe import Plain, on
from students.export import prepare
from students.export.exported import preprocess_numbers
from students.export.timm import export_timm
from tests.images.odd import odd_images
from tests.images.samples import FORMATS, encode, grey, picture
from tests.students.trained import make_run, small_spec

BACKGROUNDS = ("white", "black", "10,200,30", "drop")
SIDES = st.one_of(st.integers(1, 3), st.integers(1, 400))


def read(raw: bytes, background: str):
    under = colour_of(background)
    return prepare.read(io.BytesIO(raw), None if under is None else list(under))


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_odd_files_become_the_pixels_kd_sees(background):
    for name, raw in odd_images().items():
        assert np.array_equal(read(raw, background), decode(raw, background=background)), name


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_does(form):
    raw = encode(picture(), form)
    assert np.array_equal(read(raw, "white"), decode(raw))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("tag", range(10))
def test_every_way_a_camera_can_be_held_does(form, tag):
    exif = Image.Exif()
    exif[0x0112] = tag
    raw = encode(picture(24, 16), form, exif=exif)
    assert np.array_equal(read(raw, "white"), decode(raw))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_broken_exif_block_does():
    exif = Image.Exif()
    exif[0x0112] = 6
    for cut in range(6, len(block := exif.tobytes())):
        raw = encode(picture(24, 16), "JPEG", exif=block[:cut])
        assert np.array_equal(read(raw, "white"), decode(raw)), cut


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_an_animation_does(form):
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = [picture(24, 16, seed) for seed in (0, 1)]
    raw = encode(frames[0], form, save_all=True, append_images=frames[1:], exif=exif)
    assert np.array_equal(read(raw, "white"), decode(raw))


def test_what_kd_refuses_is_refused():
    for image in (
        grey([0, 70000], np.int32),
        grey([-1, 5], np.int32),
        grey([0, 255], np.float32),
        Image.new("LAB", (2, 2)),
    ):
        raw = encode(image, "TIFF")
        with pytest.raises(BadImage):
            decode(raw)
        with pytest.raises(ValueError, match=r"not within|no plain conversion"):
            read(raw, "white")


@given(
    fit=st.sampled_from(["crop", "squash", "pad"]),
    crop_pct=st.sampled_from([1.0, 0.875, 0.95, 0.5]),
    interpolation=st.sampled_from(["nearest", "bilinear", "bicubic", "lanczos"]),
    cut=st.sampled_from(["once", "round", "floor"]),
    sides=st.tuples(SIDES, SIDES),
    size=st.one_of(st.sampled_from([(32, 32), (64, 64)]), st.tuples(SIDES, SIDES)),
)
@settings(max_examples=150, deadline=None)
def test_any_geometry_gives_the_view_kd_gives(fit, crop_pct, interpolation, cut, sides, size):
    pixels = np.random.default_rng(sum(sides)).integers(0, 256, (*sides, 3), dtype=np.uint8)
    recipe = Plain.from_plain({"fit": fit, "crop_pct": crop_pct, "interpolation": interpolation, "cut": cut})
    numbers = {"size": list(size), **recipe.plain()}
    assert np.array_equal(prepare.view(pixels, numbers), apply(pixels, Drawn(plain=recipe), size))


@given(
    turn=st.booleans(),
    shrink=st.fixed_dictionaries(
        {
            "interpolation": st.sampled_from(["bilinear", "bicubic"]),
            "sides": st.sampled_from(["floor", "nearest"]),
            "gap": st.sampled_from([None, 2.0]),
        }
    ),
    sides=st.tuples(SIDES, SIDES),
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
)
@settings(max_examples=100, deadline=None)
def test_pages_are_turned_and_shrunk_as_in_kd(turn, shrink, sides, size):
    pixels = np.random.default_rng(sum(sides)).integers(0, 256, (*sides, 3), dtype=np.uint8)
    recipe = Plain.from_plain({"fit": "pad", "interpolation": "bilinear", "turn": turn, "shrink": shrink})
    numbers = {"size": list(size), **recipe.plain()}
    assert np.array_equal(prepare.view(pixels, numbers), apply(pixels, Drawn(plain=recipe), size))


def test_every_word_of_a_geometry_is_one_it_knows():
    """Whoever teaches kd another geometry teaches prepare.py the same."""
    assert set(Plain.model_fields) == {
        "kind",
        "fit",
        "crop_pct",
        "interpolation",
        "cut",
        "turn",
        "shrink",
        "background",
    }


def test_a_long_strip_costs_no_memory():
    strip = np.zeros((1, 200_000, 3), np.uint8)
    numbers = {"size": [224, 224], "fit": "crop", "crop_pct": 1.0, "interpolation": "bicubic", "cut": "round"}
    assert prepare.view(strip, numbers).shape == (224, 224, 3)


@pytest.mark.parametrize("name", ["tinyvit-5m", "tinyvit-11m", "tinyvit-21m"])
@pytest.mark.parametrize("size", [64, 224, 384])
def test_of_plain_photos_timm_makes_the_same_pixels_by_its_own_configuration(name, size, tmp_path, monkeypatch):
    import timm
    import torch

    from students.families.tinyvit.family import FAMILY

    spec = small_spec(name, size=size)
    config = FAMILY.timm_config(spec)["pretrained_cfg"]
    theirs = timm.data.create_transform(**timm.data.resolve_data_config(pretrained_cfg=config))
    (tmp_path / "preprocess.json").write_text(json.dumps(preprocess_numbers(spec)))
    monkeypatch.setattr(prepare, "SETTINGS", tmp_path / "preprocess.json")
    for sides in ((300, 200), (151, 202), (90, 341), (64, 64), (40, 50)):
        image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*sides, 3), dtype=np.uint8))
        ours = torch.from_numpy(prepare.prepare(io.BytesIO(encode(image, "PNG"))))
        torch.testing.assert_close(theirs(image), ours, rtol=0, atol=1e-6)


def test_the_numbers_are_those_of_the_student_to_the_last_bit(tmp_path, monkeypatch):
    import torch

    from students.judging.network import normalised

    spec = small_spec()
    (tmp_path / "preprocess.json").write_text(json.dumps(preprocess_numbers(spec)))
    monkeypatch.setattr(prepare, "SETTINGS", tmp_path / "preprocess.json")
    raw = odd_images()["turned-6.jpeg"]
    seen = apply(decode(raw), Drawn(plain=spec.geometry), spec.input)
    found = prepare.prepare(io.BytesIO(raw))
    assert (found.shape, found.dtype, found.flags.c_contiguous) == ((3, 64, 64), np.float32, True)
    assert torch.equal(torch.from_numpy(found), normalised(seen[None], spec, "cpu")[0])


# ---- in the exported folder


def test_it_needs_numpy_and_pillow_only():
    nodes = list(ast.walk(ast.parse(prepare.SETTINGS.with_name("prepare.py").read_text("utf-8"))))
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    found |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in found} - set(sys.stdlib_module_names) == {"numpy", "PIL"}


def test_the_folder_says_how_pixels_are_prepared(tmp_path):
    spec = small_spec()
    run = make_run(tmp_path / "run", spec.model_copy(update={"geometry": on(spec.geometry, "1,2,3")}))
    export_timm(run, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "preprocess.json").read_text()) == {
        "size": [64, 64],
        "fit": "crop",
        "crop_pct": 0.875,
        "interpolation": "bicubic",
        "cut": "round",
        "background": [1, 2, 3],
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    }
    (tmp_path / "a.png").write_bytes(odd_images()["rgba.png"])
    code = "from prepare import prepare; print(prepare('a.png').shape)"
    path = {"PYTHONPATH": str(tmp_path / "out")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=path, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "(3, 64, 64)\n", done.stderr


def test_dropped_alpha_is_null():
    spec = small_spec()
    assert preprocess_numbers(spec.model_copy(update={"geometry": on(spec.geometry, "drop")}))["background"] is None


def test_the_numbers_of_another_student_are_not_written_over(tmp_path):
    spec = small_spec()
    export_timm(make_run(tmp_path / "white", spec), tmp_path / "out")
    (tmp_path / "out" / "config.json").unlink()
    (tmp_path / "out" / "model.safetensors").unlink()
    other = make_run(tmp_path / "black", spec.model_copy(update={"geometry": on(spec.geometry, "black")}))
    with pytest.raises(UsageError, match=r"preprocess\.json exists already"):
        export_timm(other, tmp_path / "out")
    assert not (tmp_path / "out" / "config.json").exists()
