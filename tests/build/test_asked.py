"""Mistakes are refused before anything is loaded or written, and what does not fit is told in the words of the options."""

import shutil
from pathlib import Path

import pytest

from kdcache.base.progress import Silent
from kdcache.build.options import BuildOptions
from kdcache.build.prepare import prepare
from kdcache.build.run import build
from kdcache.errors import Mismatch, UsageError
from tests.build.conftest import options, prepared


@pytest.fixture
def no_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a teacher fails the test."""
    from kdcache.teachers import registry as teachers

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("the teacher was opened")

    monkeypatch.setattr(teachers, "open_teacher", refuse)


WRONG = [
    ({"overrides": ("crop.scale=[1,2]",)}, "--set crop.scale.* `plain` has no settings", "--recipe augment"),
    ({"overrides": ("nonsense",), "recipe": "plain"}, "`plain` has no settings", "--recipe augment"),
    ({"compression": "zstd"}, "unknown compression 'zstd'", "zstd:1..22"),
    ({"compression": "zstd:99"}, "unknown compression 'zstd:99'", "zstd:1..22"),
    ({"codecs": {"logits": "topk"}}, "topk", "topk:"),
    ({"codecs": {"logits": "flaot16"}}, "unknown codec 'flaot16'", "float16"),
    ({"codecs": {"logits": "tinyvit:10"}}, "is for imported records only", "topk:10"),
    ({"codecs": {"features": "int8"}}, "a codec is given for features", "--signal"),
    ({"recipe": "augmnt"}, "did you mean augment", "presets:"),
    ({"recipe": "augment", "overrides": ("flip=2",)}, "1 mistake", "kd config show"),
    ({"teacher": "florense"}, "unknown teacher", "florence"),
    ({"size": "nanoo"}, "it has base, huge, nano", "did you mean nano"),
    ({"devices": ("cdua",)}, "no device is called 'cdua'", "did you mean cuda"),
    ({"views": 3, "recipe": "plain"}, "one view only", "augment"),
]


@pytest.mark.usefixtures("no_teacher")
@pytest.mark.parametrize(("changes", "message", "hint"), WRONG, ids=lambda value: str(value)[:40])
def test_a_mistake_is_told_before_a_teacher_is_opened(
    images: Path, tmp_path: Path, changes: dict[str, object], message: str, hint: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        prepared(images, tmp_path / "c", **changes)
    assert hint in str(caught.value.hint)
    assert not (tmp_path / "c").exists()


@pytest.mark.usefixtures("no_teacher")
def test_a_setting_in_the_environment_is_not_passed_over(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KD_VIEWS__FLIP", "x")
    with pytest.raises(UsageError, match="KD_VIEWS__FLIP: the recipe `plain` has no settings"):
        prepare(options(images))


@pytest.mark.usefixtures("no_teacher")
def test_a_folder_that_cannot_be_a_cache_is_refused(images: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for out in (tmp_path / "file", tmp_path / "file" / "c"):
        with pytest.raises(UsageError, match="file is a file"):
            prepared(images, out)
    with pytest.raises(UsageError, match="not empty and not a cache"):
        prepared(images, images)


@pytest.mark.usefixtures("listener")
def test_part_rows_below_a_batch_are_rounded_up_and_told(images: Path, tmp_path: Path) -> None:
    ready = prepared(images, tmp_path / "c", part_rows=3)
    assert ready.plan.layout.rows_per_part == 8
    assert "--part-rows 3 is rounded up to a batch: 8" in [note.text for note in ready.notes]
    assert not [note for note in prepared(images, tmp_path / "c", part_rows=8).notes if "rounded" in note.text]


MISFITS = [
    ({"signals": ("logits", "embedding")}, "cache: --signal: logits there, logits,embedding here$"),
    ({"codecs": {"logits": "full"}}, "cache: --codec: logits=topk:10 there, logits=full here"),
    ({"recipe": "augment"}, "cache: --recipe: plain there, augment here$"),
    ({"seed": 5}, "cache: --seed: 0 there, 5 here$"),
    ({"backend": "zarr"}, "cache: --format: hdf5 there, zarr here$"),
    ({"compression": "zstd:3"}, "cache: --compress: none there, zstd:3 here$"),
    ({"batch": 4}, "cache: --batch: 8 there, 4 here$"),
    (
        {"recipe": "augment", "views": 2, "seed": 1},
        "cache: --recipe: plain there, augment here; --seed: 0 there, 1 here$",
    ),
]


@pytest.mark.usefixtures("listener")
@pytest.mark.parametrize(("changes", "message"), MISFITS, ids=lambda value: str(value)[:40])
def test_what_does_not_fit_is_told_in_the_words_of_the_options(
    images: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    build(prepared(images, tmp_path / "c"), progress=Silent())
    with pytest.raises(Mismatch, match=message):
        prepared(images, tmp_path / "c", **changes)


@pytest.mark.usefixtures("listener")
def test_other_images_are_told_first(images: Path, tmp_path: Path) -> None:
    build(prepared(images, tmp_path / "c"), progress=Silent())
    other = shutil.copytree(images, tmp_path / "other")
    assert prepared(other, tmp_path / "c").plan.dataset.rows == 100, "a copy is the same dataset"
    (other / "cats" / "000.png").unlink()
    with pytest.raises(
        Mismatch, match=r"cache: --data: images \(100 images, .* there, other \(99 images, .* here; --signal"
    ):
        prepared(other, tmp_path / "c", signals=("embedding",))


def test_more_views_name_the_command_that_plans_them(images: Path, tmp_path: Path, listener: object) -> None:
    build(prepared(images, tmp_path / "c", recipe="augment", views=2), progress=Silent())
    with pytest.raises(Mismatch, match="--views: 2 there, 3 here") as caught:
        prepared(images, tmp_path / "c", recipe="augment", views=3)
    assert "add-views" in str(caught.value.hint)


def test_signals_that_nobody_names_are_those_of_the_family():
    assert BuildOptions("clip").kept == ("logits",)
    assert BuildOptions("timm:resnet18").kept == ("logits",)
    assert BuildOptions("data2vec").kept == ("inputs", "targets")
    assert BuildOptions("data2vec", head="head.safetensors").kept == ("logits",)
    assert BuildOptions("data2vec", signals=("embedding",)).kept == ("embedding",)
    assert BuildOptions("nobody").kept == ("logits",)


def test_data2vec_without_further_words_is_nano_and_keeps_what_students_regress(tmp_path: Path) -> None:
    plan = prepare(BuildOptions("data2vec", data="shapes:count=8", workers=0), tmp_path / "c").plan
    assert (plan.teacher.size, plan.teacher.weights.source) == ("nano", "package:data2vec-nano")
    assert [(s.signal.name, s.signal.shape, s.codec) for s in plan.signals] == [
        ("inputs", (65, 96), "float16"),
        ("targets", (65, 96), "float16"),
    ]
