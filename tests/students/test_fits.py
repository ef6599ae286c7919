"""Before the first step: whatever does not fit is refused, with both sides and the way out."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kdcache.cache import Cache
from kdcache.errors import Drift, Incomplete, KDError, Mismatch, UsageError
from kdcache.images import open_source
from kdcache.store import Store
from kdcache.store.plan import Dataset
from tests.students.conftest import build_cache, learn

pytest.importorskip("torch")


def make_photos(folder: Path, count: int) -> Path:
    """Photos in two folders, stored without compression: another picture of the same size has as many bytes."""
    noise = np.random.default_rng(0)
    for number in range(count):
        place = folder / ("cat" if number % 2 else "dog")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise.integers(0, 255, (40, 40, 3), np.uint8)).save(place / f"{number}.bmp")
    return folder


@pytest.fixture
def photos(tmp_path) -> Path:
    """Sixteen photos."""
    return make_photos(tmp_path / "photos", 16)


def test_missing_parts(tmp_path):
    cache = build_cache(tmp_path / "cache")
    store = Store.open(cache)
    with store.building():
        store.drop_part(store.plan.parts()[1])
    with pytest.raises(Incomplete, match=r"1 parts are missing, the first is v000/000001") as refusal:
        learn(tmp_path / "run", cache, steps=1)
    assert refusal.value.hint == f"kd cache build --out {cache}"
    assert not (tmp_path / "run").exists()


def test_a_changed_image(tmp_path, photos):
    """Same name, same size, other pixels: only rendering it again tells."""
    cache = build_cache(tmp_path / "cache", data=str(photos), size="nano")
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(photos / "cat" / "1.bmp")
    with pytest.raises(
        Drift, match=r"1 of 16 sampled views are not what the teacher saw: cat/1.bmp renders to other pixels"
    ):
        learn(tmp_path / "run", cache, steps=1)


def test_another_set_of_images(tmp_path, photos):
    cache = build_cache(tmp_path / "cache", data=str(photos), size="nano")
    (photos / "cat" / "1.bmp").unlink()
    with pytest.raises(Drift, match=r"the images of photos have changed: 15 .* has 16"):
        learn(tmp_path / "run", cache, steps=1)


def test_an_image_that_cannot_be_read_any_more(tmp_path, photos, monkeypatch):
    from students.plan import checks as fits

    cache = build_cache(tmp_path / "cache", data=str(photos), size="nano")
    monkeypatch.setattr(fits, "REPLAYED", 1)
    file = photos / "dog" / "0.bmp"
    file.write_bytes(b"\0" * file.stat().st_size)
    with pytest.raises(KDError, match=r"dog/0.bmp"):
        learn(tmp_path / "run", cache, steps=4)


def test_a_cache_without_logits(tmp_path):
    cache = build_cache(tmp_path / "cache", signals=("embedding",), codecs={})
    with pytest.raises(Mismatch, match=rf"{cache} keeps embedding, but the recipe needs logits") as refusal:
        learn(tmp_path / "run", cache, steps=1)
    assert refusal.value.hint == "kd cache build --teacher florence --size nano --signal logits"


def test_a_cache_of_photos_without_logits_needs_a_head(tmp_path, photos):
    """The plan's own size and images, and a head, for a teacher that has no classes of its own."""
    from students.plan.checks import way_to_keep

    cache = Cache.open(
        build_cache(tmp_path / "cache", data=str(photos), size="nano", signals=("embedding",), codecs={})
    )
    teacher = cache.plan.teacher.model_copy(update={"size": "base"})
    hint = way_to_keep(teacher, cache.plan.dataset.source, ("logits",))
    assert hint.startswith(f"kd cache build --teacher florence --size base --data {photos} --signal logits --head FILE")
    assert "--teacher clip" in hint


@pytest.mark.parametrize(
    ("family", "classes", "options"),
    [
        ("run", None, "--teacher 'run:my runs/one' --signal logits --head FILE"),
        ("run", ("a",), "--teacher 'run:my runs/one' --signal logits"),
        ("timm", None, "--teacher 'timm:my runs/one' --signal logits"),
    ],
)
def test_a_teacher_that_is_called_by_its_model_is_named_as_it_is_written(tmp_path, family, classes, options):
    from students.plan.checks import way_to_keep

    cache = Cache.open(build_cache(tmp_path / "cache", signals=("embedding",), codecs={}))
    teacher = cache.plan.teacher.model_copy(update={"family": family, "size": "my runs/one", "classes": classes})
    hint = way_to_keep(teacher, cache.plan.dataset.source, ("logits",))
    assert hint.startswith(f"kd cache build {options}")
    assert ("--head" in hint) == ("--head" in options)


def test_true_classes_that_are_not_the_students(tmp_path, photos):
    cache = build_cache(tmp_path / "cache", data=str(photos), size="nano")
    with pytest.raises(Mismatch, match=r"photos have 2 classes, the student has 100"):
        learn(tmp_path / "run", cache, steps=1, settings=("objective.hard=1",))


def test_true_classes_nobody_knows(tmp_path, photos):
    for file in list(photos.glob("*/*")):
        file.rename(photos / file.name)
    cache = build_cache(tmp_path / "cache", data=str(photos), size="nano")
    with pytest.raises(Mismatch, match="have no labels"):
        learn(tmp_path / "run", cache, steps=1, settings=("objective.hard=1",))


def test_a_view_that_is_not_stored(cache, tmp_path):
    with pytest.raises(UsageError, match=r"view 2 is requested, but .* has 2") as refusal:
        learn(tmp_path / "run", cache, steps=1, views=(0, 2))
    assert refusal.value.hint is not None
    assert f"kd cache add-views {cache} 1 and then kd cache build --out {cache}" in refusal.value.hint
    with pytest.raises(UsageError, match="view -1 is requested") as refusal:
        learn(tmp_path / "run", cache, steps=1, views=(-1,))
    assert refusal.value.hint == "views are numbered from 0 to 1"


def test_a_weights_file_with_another_head(cache, tmp_path, photos):
    first, _ = learn(tmp_path / "first", cache, steps=1)
    asked = {"stream": "none", "start": str(first.path), "where": {"data": str(photos)}, "steps": 1}
    with pytest.raises(Mismatch, match=r"100.*2|2.*100"):
        learn(tmp_path / "run", **asked)
    run, _ = learn(tmp_path / "run", new_head=True, **asked)
    assert run.record.student.classes == ("cat", "dog")


def test_another_cache_under_the_same_name(cache, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(cache, copy)
    learn(tmp_path / "run", copy, steps=4, where={"stop_at": 2})
    shutil.rmtree(copy)
    build_cache(copy, views=2, seed=1)
    with pytest.raises(Mismatch, match="is another cache now"):
        learn(tmp_path / "run", resume=True)


def test_a_mixed_view_is_labelled_with_both_classes(tmp_path):
    """The share is the one the pixels were mixed with. A view whose partner cannot be read is rejected: it needs no label."""
    from kdcache.images import open_source
    from students.train.images import TrainingImages

    cache = Cache.open(build_cache(tmp_path / "cache", recipe="tinyvit-1k", views=2))
    scene = TrainingImages.of_cache(cache, open_source(cache.plan.dataset.source))
    rows = np.arange(64)
    first, second, share = scene.classes(rows, 1)
    assert np.array_equal(first, cache.labels)
    mixed = np.flatnonzero(share < 1)
    assert len(mixed) > 32
    assert (second[mixed] >= 0).all()
    assert (second[share == 1] == -1).all()
    partners = [scene._partner(int(row), 1)[0] for row in mixed]
    assert np.array_equal(second[mixed], cache.labels[partners])


def test_images_given_anew_are_opened_in_the_order_of_the_run(tmp_path):
    """A run of an early release knows its images in another order than a folder is listed in now."""
    from types import SimpleNamespace

    from kdcache.store.same_images import images_again
    from students.judging.evaluate import examples_of, images_of
    from students.judging.examples import same_images

    for split in ("train", "val"):
        for name in ("apple", "apple pie"):
            make_photos(tmp_path / "old" / split / name, 2 if split == "train" else 4)
    early = {"kind": "folder", "path": str(tmp_path / "old" / "train")}
    listing = open_source(early).scan()
    assert listing.classes == ("apple pie", "apple")
    dataset = Dataset.of(open_source(early), listing)
    (tmp_path / "old").rename(tmp_path / "new")
    train, val = str(tmp_path / "new" / "train"), str(tmp_path / "new" / "val")
    assert images_again(dataset, train, owner="the run")[1].fingerprint == listing.fingerprint
    assert same_images(dataset, train, owner="the run").classes == ("apple pie", "apple")
    run = SimpleNamespace(record=SimpleNamespace(dataset=dataset, student=SimpleNamespace(classes=())), path=tmp_path)
    assert images_of(run, train).fingerprint == listing.fingerprint
    assert images_of(run, val).classes == examples_of(run, val, None).bank(None).classes == ("apple pie", "apple")
    assert examples_of(run, val, None).bank(train).fingerprint == listing.fingerprint
