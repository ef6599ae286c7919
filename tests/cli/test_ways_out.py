"""What a newcomer runs into: each mistake is told in one line, early, with the way out, and nothing is passed over in silence."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = str(Path(__file__).parents[2])
NANO = ["cache", "build", "--teacher", "florence", "--size", "nano"]


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["--set", "a=b"], "--set a=b: the recipe `plain` has no settings", "--recipe augment"),
        (["--recipe", "plain", "--set", "junk"], "has no settings", "--recipe augment"),
        (["--compress", "zstd"], "unknown compression 'zstd'", "zstd:1..22"),
        (["--compress", "zstd:99"], "unknown compression 'zstd:99'", "zstd:1..22"),
        (["--codec", "logits=tokp:10"], "unknown codec 'tokp:10'", "topk"),
        (["--size", "nanoo"], "it has base, huge, nano", "did you mean nano"),
        (["--signal", "logit"], "cannot emit 'logit'", "did you mean logits?"),
        (["--device", "cdua"], "no device is called 'cdua'", "did you mean cuda?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_in_a_build_is_refused_over_a_new_and_an_existing_cache(kd, photos, built, words, message, hint):
    for out in ("c", built):
        ran = kd(*NANO, *words, "--data", photos, "--out", out)
        assert ran.code == 2
        assert message in ran.err
        assert hint in ran.err.split("hint: ")[1]
        assert "building" not in ran.err
        assert "going on" not in ran.err
    assert not Path("c").exists()


def test_a_setting_from_the_environment_is_not_passed_over(kd, photos, monkeypatch):
    monkeypatch.setenv("KD_VIEWS__FLIP", "0.1")
    ran = kd(*NANO, "--data", photos, "--out", "c")
    assert ran.code == 2
    assert "KD_VIEWS__FLIP" in ran.err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("train --steps abc", "--steps 'abc' is not a whole number"),
        ("train --steps 0", "--steps '0' is too low: the least is 1"),
        ("train --batch 9999999", "--batch '9999999' is too high: the most is 1,048,576"),
        ("train --epochs x", "--epochs 'x' is not a number"),
        ("cache add-views c more", "N 'more' is not a whole number"),
    ],
)
def test_a_number_that_cannot_be_is_named(kd, line, told):
    ran = kd(*line.split())
    assert (ran.code, ran.err.splitlines()[0]) == (2, f"error: {told}")
    assert ran.err.endswith(f"hint: kd {line.split(' --')[0].partition(' c ')[0]} --help\n")


def test_plain_is_explained_where_its_settings_are_looked_for(kd):
    ran = kd("config", "show", "views/plain")
    assert ran.code == 2
    assert "`plain` has no settings: one view" in ran.err


def test_without_a_size_the_message_names_the_sizes_that_can(kd, photos):
    ran = kd("cache", "build", "--teacher", "florence", "--data", photos, "--out", "c")
    assert ran.code == 2
    assert "florence-base cannot emit 'logits'" in ran.err
    for way_out in ("--size nano", "--signal embedding", "--head FILE"):
        assert way_out in ran.err.split("hint: ")[1]


def test_out_on_a_file_is_a_wrong_path(kd, build_words, photos):
    Path("file").write_text("in the way")
    for out in ("file", "file/c"):
        assert kd(*build_words, "--out", out).code == 2
    assert kd("cache", "build", "--out", "file").code == 2
    ran = kd(
        "teacher", "fit-head", "--teacher", "timm:test_vit", "--weights", "random", "--data", photos, "-o", "file/h"
    )
    assert ran.code == 2
    assert "file" in ran.err


def test_going_on_with_a_cache_does_not_pass_over_other_options(kd, built):
    ran = kd("cache", "build", "--out", built, "--views", 3, "--compress", "zstd:3")
    assert ran.code == 2
    assert "--views, --compress cannot be changed" in ran.err


def test_a_dry_run_does_what_the_run_would(kd, build_words, built):
    ran = kd(*build_words, "--out", built, "-n")
    assert ran.code == 0
    assert "nothing to build" in ran.out
    assert kd("cache", "build", "--out", built, "-n", "--json").json["parts_to_build"] == 0
    dry, real = kd(*build_words, "--out", built, "--seed", 3, "-n"), kd(*build_words, "--out", built, "--seed", 3)
    assert dry.code == real.code == 6
    assert "--seed: 0 there, 3 here" in dry.err
    assert dry.err == real.err


def test_a_plan_says_at_once_what_it_does_and_what_cannot_be_built_yet(kd, photos):
    words = ["--teacher", "florence", "--input-size", 224, "--batch", 2, "--device", "cpu", "--workers", 0]
    ran = kd("cache", "plan", *words, "--data", photos)
    assert ran.code == 0
    assert ran.err.startswith("measuring florence\n")
    assert "logits need a head before they can be built" in ran.err
    logits = next(line for line in ran.out.splitlines() if line.startswith("logits"))
    assert "random weights" in logits
    assert "kl_t" not in ran.out


def test_the_planned_bytes_are_those_of_the_cache(kd, build_words, built):
    for more in ([], ["--format", "zarr"], ["--signal", "embedding,features", "--codec", "features=int8"]):
        bill = kd("cache", "plan", *build_words[2:], *more, "--json").json
        assert kd(*build_words, *more, "--out", "c").code == 0
        there = sum(path.stat().st_size for path in Path("c").rglob("*") if path.is_file())
        there -= Path("c/plan.json").stat().st_size
        assert bill["total_bytes"] == pytest.approx(there, rel=0.15)
        shutil.rmtree("c")


def test_a_slow_teacher_is_told_in_seconds_an_image():
    from cli.text import duration, speed

    assert speed(1204) == "1,204 images/s"
    assert speed(1 / 24) == f"{duration(24)} an image" == "24 s an image"


def test_what_the_errors_mean_is_told(kd, photos):
    assert kd(*NANO, "--data", photos, "--workers", 0, "--out", "c").code == 0
    printed = kd("cache", "info", "c").out
    assert "distance from the teacher at temperature 1, 2, 4, in nats" in printed
    assert "  46  " in printed
    assert "46.0" not in printed


QUICK_BUILD = [
    "cache",
    "build",
    "--teacher",
    "timm:test_vit",
    "--weights",
    "random",
    "--signal",
    "embedding",
    "--workers",
    "0",
]


def test_a_folder_of_splits_is_told_to_be_one_data_set(kd, photos, tmp_path):
    for split in ("train", "val"):
        shutil.copytree(photos, tmp_path / "own" / split)
    ran = kd(*QUICK_BUILD, "--data", "own", "--out", "c")
    assert ran.code == 0
    message = f"holds train, val, and the images of all of them would be in one cache; give --data {tmp_path / 'own' / 'train'}"
    assert f"warning: {tmp_path / 'own'} {message}" in ran.err
    assert "in one cache" not in kd(*QUICK_BUILD, "--data", "own/train", "--out", "d").err


def test_money_about_to_be_lost_is_a_warning(kd, photos, tmp_path):
    """Before anything is built: classes the images do not have, and images much smaller than what the teacher sees."""
    ran = kd(*NANO, "--data", photos, "--workers", 0, "--out", "c")
    assert "warning: the logits will be of the teacher's own 100 classes" in ran.err
    assert "which include 0 of the 2 classes of these images (cats …)" in ran.err
    assert ran.err.index("warning:") < ran.err.index("building c")
    assert "pixels a side" not in ran.err
    ran = kd(*QUICK_BUILD, "--data", photos, "--out", "d")
    assert (
        "warning: the images are about 40 pixels a side, but the input of the teacher has 160: they are enlarged 4.0 times"
        in ran.err
    )
    assert "warning" not in kd(*NANO, "--data", "shapes:count=20,size=64", "--workers", 0, "--out", "e").err


def test_the_split_that_was_chosen_is_told(kd, tmp_path):
    for name in ("n01440764", "n01443537"):
        path = tmp_path / "imagenet" / "train" / name / f"{name}_1.JPEG"
        path.parent.mkdir(parents=True)
        Image.fromarray(np.full((40, 40, 3), 90, np.uint8)).save(path, "JPEG")
    ran = kd(*QUICK_BUILD, "--data", "imagenet", "--out", "c")
    assert ran.code == 0
    assert f"using the split `train`; for the other one, --data imagenet:{tmp_path / 'imagenet'}:val" in ran.err
    assert "using the split" not in kd(*QUICK_BUILD, "--data", "imagenet:imagenet:train", "--out", "d").err


def test_tinyvit_folders_are_told_by_epoch_and_classes(kd, photos):
    assert kd(*NANO, "--data", photos, "--workers", 0, "--out", "c").code == 0
    ran = kd("cache", "export", "tinyvit", "logits", "--cache", "c")
    assert "epoch 0 (1 of 1 view)" in ran.out
    assert "10, each the top 10 of 100 classes" in ran.out
    words = ["--data", photos, "--class-count", 100, "--teacher", "clip", "--size", "b32", "--out", "back"]
    assert "1, from epoch 0" in kd("cache", "import", "tinyvit", "logits", *words).out


def test_a_head_tells_empty_classes_and_broken_images(kd, tmp_path):
    for number in range(24):
        path = tmp_path / "data" / ("cats", "dogs")[number % 2] / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((40, 40, 3), number * 9, np.uint8)).save(path)
    (tmp_path / "data" / "birds").mkdir()
    (tmp_path / "data" / "cats" / "00.png").write_bytes(b"broken")
    words = [
        "teacher",
        "fit-head",
        "--teacher",
        "timm:test_vit",
        "--weights",
        "random",
        "--data",
        "data",
        "--workers",
        0,
    ]
    ran = kd(*words, "--batch", 8, "-o", "head")
    assert ran.code == 3
    assert "no image of 1 class, which the head will hardly ever predict: birds" in ran.err
    assert "1 image that could not be read, such as cats/00.png" in ran.out
    ran = kd(*words, "--limit", 5, "-o", "head2")
    assert ran.code == 2
    assert "--limit" in ran.err.split("hint: ")[1]


def test_the_recipe_of_the_documentation_is_valid_and_its_mistakes_are_told_as_written(kd):
    page = (Path(ROOT) / "docs" / "cli.md").read_text("utf-8")
    (recipe,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    Path("my.yaml").write_text(recipe)
    assert kd("config", "validate", "views/my.yaml").code == 0
    Path("my.yaml").write_text(recipe.replace("scale", "sacle").replace("flip: 0.5", "flip: 1.5"))
    ran = kd("config", "validate", "views/my.yaml")
    (printed,) = re.findall(r"```text\n(error: \d mistakes.*?)```", page, re.DOTALL)
    assert ran.err.startswith(printed)


def test_the_list_of_presets_says_what_each_is(kd):
    about = {row["name"]: row["about"] for row in kd("config", "list", "--json").json}
    assert about["teachers/clip"] == "CLIP image towers, with zero-shot logits"
    assert about["views/tinyvit-1k"] == "TinyViT's views for training on ImageNet-1k from scratch."
    assert not [text for text in about.values() if "Sources" in text or text.startswith("kd ")]
    assert not [text for name, text in about.items() if not (name.startswith("teachers/") or text.endswith("."))]


def test_the_libraries_below_keep_quiet():
    script = "import os, sys; sys.argv = ['kd', '--version']; import cli\n" + (
        "try: cli.main()\nexcept SystemExit: print(os.environ['HF_HUB_VERBOSITY'], os.environ['TRANSFORMERS_VERBOSITY'])"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "error error"
