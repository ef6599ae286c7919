"""`kd cache get --save`: the picture is the one the teacher was shown, to the pixel, or there is none."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kdcache.base.digest import pixel_digest
from kdcache.cache import Cache
from kdcache.images import load, open_source
from kdcache.views import mix_of, view_pixels


@pytest.fixture
def cache(build_words, photos, tmp_path, monkeypatch) -> Cache:
    """Two random views of ten photos, most of them mixed with another; photos and cache may be changed."""
    from cli.app import run

    monkeypatch.chdir(tmp_path)
    shutil.copytree(photos, "photos")
    words = [word if word != str(photos) else "photos" for word in build_words]
    assert run([*words, "--recipe", "tinyvit-1k", "--views", "2", "--out", "c", "-qq"]) == 0
    return Cache.open("c")


def shown(cache: Cache, image_id: str, view: int):
    """What the teacher saw, and whether it was mixed with a partner."""
    plan, row = cache.plan, list(cache.ids).index(image_id)
    recipe, seed = plan.views.recipe, plan.views.seed
    source = open_source(plan.dataset.source)
    pixels = view_pixels(
        recipe, seed=seed, view=view, row=row, size=plan.teacher.preprocess.size, ids=cache.ids,
        load=lambda name: load(source, name, background=recipe.background),
    )  # fmt: skip
    return pixels, mix_of(recipe, seed=seed, image_id=image_id, view=view, row=row, rows=len(cache)) is not None


def test_the_picture_is_what_the_teacher_saw_mixed_or_not(kd, cache):
    mixed = set()
    for image_id in cache.ids:
        for view in (0, 1):
            name = f"{view}-{image_id.replace('/', '-')}.png"
            ran = kd("cache", "get", image_id, "--cache", "c", "--view", view, "--save", name, "--json")
            assert ran.code == 0, ran.err
            pixels, is_mixed = shown(cache, image_id, view)
            saved = np.asarray(Image.open(name))
            assert ran.json["saved"] == name
            assert np.array_equal(saved, pixels)
            mixed.add(is_mixed)
    assert mixed == {True, False}, "the test shows both kinds"


def test_it_has_the_digest_that_the_cache_kept(kd, cache):
    from kdcache.check.sampling import stored_digests
    from kdcache.store import Store
    from kdcache.store.plan import PartId

    image_id = cache.ids[5]
    assert kd("cache", "get", image_id, "--cache", "c", "--save", "x.PNG").code == 0
    store = Store.open(Path("c"))
    (digest,) = stored_digests(store, PartId(0, 5 // store.plan.layout.rows_per_part), [5])
    assert pixel_digest(np.asarray(Image.open("x.PNG"))) == digest


def test_it_says_what_was_written(kd, cache):
    ran = kd("cache", "get", cache.ids[0], "--cache", "c", "--save", "x.png")
    height, width = cache.plan.teacher.preprocess.size
    assert f"saved  x.png, {height}×{width} pixels" in ran.out


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("x.jpg", "x.jpg does not end in .png"),
        ("x", "x does not end in .png"),
        ("there.png", "there.png is there already"),
        ("link.png", "link.png is there already"),
        ("nowhere/x.png", "nowhere is not a folder"),
    ],
)
def test_a_file_that_is_there_or_no_png_is_refused(kd, cache, name, reason):
    Path("there.png").write_bytes(b"mine")
    Path("link.png").symlink_to("gone")
    before = sorted(Path().rglob("*"))
    ran = kd("cache", "get", cache.ids[0], "--cache", "c", "--save", name)
    assert (ran.code, ran.out) == (2, "")
    assert reason in ran.err
    assert "hint:" in ran.err
    assert sorted(Path().rglob("*")) == before
    assert Path("there.png").read_bytes() == b"mine"


def test_other_pixels_than_the_teacher_saw_are_never_written(kd, cache):
    image_id = cache.ids[0]
    path = Path("photos") / image_id
    Image.fromarray(np.zeros((40, 48, 3), np.uint8)).save(path)
    ran = kd("cache", "get", image_id, "--cache", "c", "--save", "x.png")
    assert ran.code == 9
    assert f"{image_id} renders to other pixels than the teacher was shown" in ran.err
    assert not Path("x.png").exists()
    path.write_bytes(b"no picture")
    ran = kd("cache", "get", image_id, "--cache", "c", "--save", "x.png")
    assert (ran.code, Path("x.png").exists()) == (3, False)
    assert f"{image_id} cannot be used now" in ran.err


def test_images_that_have_moved_are_named(kd, cache):
    shutil.move("photos", "moved")
    words = ["cache", "get", cache.ids[0], "--cache", "c"]
    assert kd(*words).code == 0, "what is stored needs no images"
    assert kd(*words, "--save", "x.png").code != 0
    assert not Path("x.png").exists()
    assert kd(*words, "--save", "x.png", "--data", "moved").code == 0
    assert Path("x.png").is_file()
    ran = kd(*words, "--data", "moved")
    assert (ran.code, "--data only applies to --save" in ran.err) == (2, True)
