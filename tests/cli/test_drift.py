"""Drift: images, libraries or a teacher that changed since are no damage. One exit code, and ways out that lead out."""

import shutil
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import QUICK

HERE = ["--workers", 0, "--device", "cpu"]
TRAIN = [*QUICK[:4], *QUICK[6:], "--size", 32]
REPAIR = "kd cache repair"


def paint(path: Path, seed: int) -> None:
    """A picture without compression: another one has as many bytes, and a listing does not tell them apart."""
    noise = np.random.default_rng(seed).integers(0, 255, (40, 40, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise).save(path)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with sixteen pictures, `photos`, and a cache of them, `C`; both are copied for each test."""
    from cli.app import run

    root = tmp_path_factory.mktemp("drift")
    for number in range(16):
        paint(root / "photos" / ("cat", "dog")[number % 2] / f"{number:02d}.bmp", number)
    words = ["cache", "build", "--teacher", "florence", "--size", "nano", "--data", root / "photos", *HERE]
    assert run([str(word) for word in [*words, "--batch", 8, "--part-rows", 8, "--out", root / "C", "-qq"]]) == 0
    return root


@pytest.fixture
def build(kd, made, tmp_path) -> list:
    """The words of the build; its folder and its cache are in the current folder."""
    from kdcache.store import Store
    from kdcache.store.frame import replace_plan
    from kdcache.store.places.local import LocalPlace

    for name in ("photos", "C"):
        shutil.copytree(made / name, tmp_path / name)
    plan = Store.open(tmp_path / "C").plan
    source = plan.dataset.source | {"path": str(tmp_path / "photos")}
    elsewhere = plan.model_copy(update={"dataset": plan.dataset.model_copy(update={"source": source})})
    replace_plan(LocalPlace(tmp_path / "C"), elsewhere)
    words = ["cache", "build", "--teacher", "florence", "--size", "nano", "--data", "photos", *HERE]
    return [*words, "--batch", 8, "--part-rows", 8]


def other_library(monkeypatch, name: str, number: str = "99.0") -> str:
    """Another version of a library is installed -> the one that was."""
    from kdcache.base import versions

    monkeypatch.setattr(versions, "version", lambda its: number if its == name else version(its))
    return version(name)


def files_of(cache: Path) -> dict:
    return {path: path.read_bytes() for path in sorted(cache.glob("parts/**/*.*"))}


def test_changed_images_are_drift_with_a_way_out_that_is_no_repair(kd, build):
    before, kept = files_of(Path("C")), Path("photos/cat/02.bmp").read_bytes()
    paint(Path("photos/cat/02.bmp"), 99)
    ran = kd("cache", "verify", "C", "--replay", 100)
    assert ran.code == 9
    assert "cat/02.bmp renders to other pixels than the teacher was shown" in ran.out
    assert "drifted" in ran.out
    assert REPAIR not in ran.err
    assert "no library that C names has changed, so the images have: restore them as they were" in ran.err
    found = kd("cache", "verify", "C", "--replay", 100, "--json").json
    assert (found["state"], [finding["kind"] for finding in found["findings"]]) == ("drifted", ["drift"])
    assert kd("cache", "repair", "C", "--yes").code == 0, "there is nothing to drop"
    assert files_of(Path("C")) == before
    assert kd(*build, "--out", "D").code == 0
    assert kd("cache", "verify", "D", "--replay", 100).code == 0, "one way out: built anew"
    Path("photos/cat/02.bmp").write_bytes(kept)
    assert kd("cache", "verify", "C", "--replay", 100).code == 0, "the other: brought back"


def test_a_training_is_refused_by_the_same_word_before_its_first_step(kd, build):
    paint(Path("photos/dog/03.bmp"), 99)
    ran = kd("train", "--cache", "C", *TRAIN, "--val", "none", "--out", "r")
    assert ran.code == 9
    assert "1 of 16 sampled views are not what the teacher saw: dog/03.bmp renders to other pixels" in ran.err
    assert "restore them as they were" in ran.err
    assert not Path("r").exists()


def test_a_changed_decoder_is_named_with_both_versions(kd, build, monkeypatch):
    from kdcache.images import decode

    to_rgb = decode.to_rgb  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        was = other_library(patch, "pillow")
        patch.setattr(decode, "to_rgb", lambda image, *under: to_rgb(image, *under) ^ 1)
        for words in (["cache", "verify", "C", "--replay", 4], ["train", "--cache", "C", *TRAIN, "--val", "none"]):
            ran = kd(*words)
            assert ran.code == 9
            assert (
                f"C was planned, pillow was {was} and is 99.0 (pip install pillow=={was}): the likely cause" in ran.err
            )
    assert kd("cache", "verify", "C", "--replay", 4).code == 0


def test_another_library_that_changes_nothing_is_not_blamed(kd, build, monkeypatch):
    other_library(monkeypatch, "pillow")
    assert kd("cache", "verify", "C", "--replay", 16, "--teacher", 16).code == 0
    other_library(monkeypatch, "zarr")
    paint(Path("photos/dog/03.bmp"), 99)
    assert "zarr" not in kd("cache", "verify", "C", "--replay", 16).err


def test_a_teacher_that_says_something_else_has_drifted(kd, build, monkeypatch):
    from kdcache.teachers.frozen import FrozenTeacher

    was, say = other_library(monkeypatch, "torch"), FrozenTeacher.emit
    monkeypatch.setattr(FrozenTeacher, "emit", lambda self, shown: {n: v * 3 for n, v in say(self, shown).items()})
    ran = kd("cache", "verify", "C", "--replay", 8, "--teacher", 8)
    assert ran.code == 9
    assert "the teacher emits other values now" in ran.out
    assert f"torch was {was} and is 99.0 (pip install torch=={was})" in ran.err
    assert REPAIR not in ran.err
    assert kd("cache", "verify", "C", "--teacher", 8, "--tolerance", 1).code == 0


def test_a_teacher_is_not_blamed_for_other_pixels(kd, build):
    paint(Path("photos/cat/02.bmp"), 99)
    Path("photos/dog/03.bmp").write_bytes(b"\0" * Path("photos/dog/03.bmp").stat().st_size)
    for more in ([], ["--replay", 100]):
        found = kd("cache", "verify", "C", "--teacher", 100, *more, "--json").json
        assert {finding["field"] for finding in found["findings"]} == {"view_digest"}
        assert len(found["findings"]) == 2, "each is told once"
        assert found["distance"]["logits"] <= found["tolerance"]["logits"]


def test_damage_beside_drift_is_damage_and_both_ways_out_are_told(kd, build):
    part = next(Path("C").glob("parts/v000/000001.*5"))
    part.write_bytes(part.read_bytes()[:-1])
    for path in Path("photos").rglob("*.bmp"):
        paint(path, 99)
    ran = kd("cache", "verify", "C", "--replay", 100)
    assert ran.code == 4
    drift, damage = ran.err.split("hint: ")[1:]
    assert "restore them as they were" in drift, "first: a part that is built now would be made of other pixels"
    assert damage.startswith("kd cache repair C --yes && kd cache build --out C")


@pytest.mark.parametrize("change", ["added", "removed", "longer"])
def test_images_that_are_listed_otherwise_than_then_have_drifted_whoever_looks(kd, build, change):
    if change == "removed":
        Path("photos/cat/02.bmp").unlink()
    else:
        paint(Path("photos/cat/99.bmp"), 99)
        if change == "longer":
            Path("photos/cat/99.bmp").rename("photos/cat/02.bmp")
            Path("photos/cat/02.bmp").write_bytes(Path("photos/cat/02.bmp").read_bytes() + b"\0")
    for words in (
        ["cache", "build", "--out", "C", *HERE],
        [*build, "--out", "C"],
        ["train", "--cache", "C", *TRAIN, "--val", "none"],
        ["train", "--stream", "on", "--cache", "C", *TRAIN, "--val", "none"],
    ):
        ran = kd(*words)
        assert ran.code == 9, ran.err
        assert "the images of photos have changed: " in ran.err
        assert "restore them as they were, or " in ran.err.split("hint: ")[1]


def test_other_images_that_are_given_are_a_mismatch(kd, build, photos):
    for words in (
        ["cache", "build", "--out", "C", *HERE],
        ["cache", "verify", "C", "--replay", 4],
        ["train", "--cache", "C", *TRAIN, "--val", "none"],
    ):
        ran = kd(*words, "--data", photos)
        assert ran.code == 6
        assert f"{photos} are other images: 10 with fingerprint" in ran.err
        assert "set --data to the original images" in ran.err.split("hint: ")[1]


def test_changed_validation_images_are_drift_for_every_command(kd, build):
    shutil.copytree("photos", "val")
    words = ["train", "--stream", "none", "--data", "photos", *TRAIN, "--val", "val"]
    ran = kd(*words, "--steps", 2, "--stop-at", 1, "--out", "r")
    assert ran.code == 0, ran.err
    Path("val/cat/02.bmp").unlink()
    for words in (["eval", "r"], ["train", "--resume", "r", *HERE]):  # type: ignore[assignment]
        ran = kd(*words)
        assert ran.code == 9
        assert "val have changed: 15 with fingerprint" in ran.err
    assert "name images with --data" in kd("eval", "r").err.split("hint: ")[1]
    assert kd("eval", "r", "--data", "val", *HERE[:2]).code == 0
    ran = kd("train", "--resume", "r", "--val", "photos/cat", *HERE)
    assert ran.code == 6
    assert "set --val to the original images" in ran.err
    shutil.copy("photos/cat/02.bmp", "val/cat/02.bmp")
    assert kd("train", "--resume", "r", *HERE).code == 0


def test_when_none_of_the_images_is_what_it_was_the_teacher_is_not_asked(kd, build):
    for path in Path("photos").rglob("*.*"):
        paint(path, 77)
    ran = kd("cache", "verify", "C", "--teacher", 2)
    assert ran.code == 9, ran.err
    assert "bug" not in ran.err
