"""What a comparison chooses by itself: how much a slow teacher sees, how large a batch fits; and what a device tells."""

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kdcache.base.figures import byte_count
from kdcache.base.progress import Silent
from kdcache.build.options import BuildOptions
from kdcache.config.presets import load_preset
from kdcache.errors import UsageError
from kdcache.images import open_source
from students.compare import amount as amounts
from students.compare.amount import LEAST_BATCH, MOST_IMAGES, PATIENCE, Amount, amount, batch_for, few_of, image_bytes
from students.compare.arms import arms_of
from students.compare.caches import seconds_an_image
from students.compare.job import job_of
from students.compare.measuring.measure import warm_up
from students.compare.measuring.memory import peak_memory
from students.compare.options import CompareOptions
from students.compare.room import Room, largest_that
from students.recipe import Recipe

ARMS = arms_of(("on-stream", "off-stream"))


@pytest.fixture
def teacher(monkeypatch):
    """A teacher that takes so many seconds for an image, and a list of how often that was measured."""

    def takes(seconds):
        asked = []
        monkeypatch.setattr(amounts, "_teacher_seconds", lambda build, progress: asked.append(build) or seconds)
        return asked

    return takes


def options_of(data="shapes:count=5000", **asked):
    return CompareOptions(("on-stream", "off-stream"), BuildOptions("florence", data=data), **asked)


def choose(**asked):
    return amount(options_of(**asked), ARMS, 128, Silent())


def test_a_quick_teacher_sees_what_the_recipe_says(teacher):
    teacher(0.002)
    much = choose(steps=30, repeat=3)
    assert (much.images, much.batch, much.whole) == (MOST_IMAGES, 128, 5000)


@given(st.floats(0.0005, 60), st.integers(2, 50), st.integers(1, 5))
def test_a_slow_teacher_is_borne(seconds, steps, repeat):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(amounts, "_teacher_seconds", lambda build, progress: seconds)
        much = choose(steps=steps, repeat=repeat)
    seen = much.images + steps * repeat * much.batch
    assert much.images >= much.batch >= LEAST_BATCH
    assert seconds * seen <= PATIENCE or (much.batch, much.images) == (LEAST_BATCH, 2 * LEAST_BATCH)


def test_a_slow_teacher_of_a_few_images_is_not_said_to_see_more_than_there_are(teacher):
    teacher(0.13)
    notes = []
    told = SimpleNamespace(note=notes.append)
    much = amount(options_of("shapes:count=60", batch=8), ARMS, 128, told)
    assert (much.images, notes) == (60, [])


def test_what_was_asked_for_stays(teacher):
    asked = teacher(10.0)
    assert (choose(images=300).images, choose(batch=64).batch) == (300, 64)
    much = choose(images=300, batch=64)
    assert (much.images, much.batch) == (300, 64)
    assert len(asked) == 2, "with both there is nothing to measure for"


def test_a_batch_is_not_more_than_all_images(teacher):
    teacher(0.001)
    assert choose(images=20).batch == 4, "as kd train recommends"
    with pytest.raises(UsageError, match="20 images are less than one batch of 64") as refused:
        choose(images=20, batch=64)
    assert refused.value.hint == "--train-batch 4"
    assert [batch_for(images) for images in (1, 3, 4, 7, 8, 100, 512)] == [1, 1, 1, 1, 2, 16, 128]


def test_epochs_of_a_job_are_the_recipes_unless_others_are_asked_for():
    recipe = load_preset("recipes", "demo", Recipe, ("epochs=5",))
    assert job_of(options_of(), recipe, 5000).epochs == 5.0
    assert job_of(options_of(epochs=90.0), recipe, 5000).epochs == 90.0
    steps = recipe.model_copy(update={"epochs": None, "steps": 300, "batch": 50})
    assert job_of(options_of(), steps, 5000).epochs == 3.0, "300 steps of 50 images are 3 times 5,000"
    assert job_of(options_of(batch=100), steps, 5000).epochs == 6.0
    assert (job_of(options_of(), recipe, 5000).students, job_of(options_of(), recipe, 5000).images) == (1, 5000)


def test_a_few_embedded_images_are_still_the_embedded_ones(tmp_path):
    assert few_of("shapes:split=val,size=32", 7, 50) == "shapes:split=val,size=32,count=7"
    assert few_of("few:9:shapes:count=50", 9, 9) == "few:9:shapes:count=50", "no more than that to begin with"
    assert few_of("few:9:shapes:count=50", 3, 9) == "few:3:few:9:shapes:count=50"


@given(st.integers(0, 5000), st.integers(1, 600), st.integers(1, 4000))
def test_the_largest_batch_is_found_to_an_eighth(limit, start, most):
    tried = []
    found = largest_that(lambda batch: tried.append(batch) or batch <= limit, min(start, most), most)
    best = min(limit, most)
    assert found <= best
    assert best - found <= max(1, found // 8) or found == best == 0
    assert all(1 <= batch <= most for batch in tried)
    assert len(tried) <= 20, "each is a process of its own"


def test_the_teachers_time_is_that_of_the_images_it_was_shown(monkeypatch):
    """The first part, in which the renderers start, does not count; 64 and 1 images, the last filled up to a batch of 64."""
    parts = {"first": (range(64), 9.0), "a": (range(64, 128), 1.9), "b": (range(128, 129), 2.0)}
    plan = SimpleNamespace(parts=lambda: list(parts), rows_of=lambda part: parts[part][0], batch=64)
    store = SimpleNamespace(plan=plan, receipt=lambda part: SimpleNamespace(facts={"seconds": parts[part][1]}))
    assert seconds_an_image(store).mean == pytest.approx(3.9 / 128)


def test_bytes_of_images_are_those_of_the_images(tmp_path):
    (tmp_path / "a").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "a" / "1.png")
    (tmp_path / "a" / "notes.bin").write_bytes(bytes(5000))
    source = open_source(str(tmp_path))
    assert image_bytes(source, source.scan()) == (tmp_path / "a" / "1.png").stat().st_size
    assert image_bytes(open_source("shapes:count=3"), open_source("shapes:count=3").scan()) is None


def test_a_batch_is_shared_out():
    room = Room(memory=24_000_000_000, largest=60, all=False)
    assert [room.devices(batch) for batch in (1, 60, 61, 4096)] == [1, 1, 2, 69]
    assert room.model_copy(update={"largest": 0}).devices(8) is None, "one image is too much"


@pytest.mark.parametrize(
    ("text", "count"), [("24GB", 24e9), ("24 gb", 24e9), ("1.5G", 1.5e9), ("2GiB", 2 * 2**30), ("900 MiB", 900 * 2**20)]
)
def test_memory_is_understood(text, count):
    assert byte_count(text, "--gpu-memory") == count


@pytest.mark.parametrize("text", ["24", "0GB", "lots", "-3GB", ""])
def test_what_is_no_memory_is_refused(text):
    with pytest.raises(UsageError, match="--gpu-memory"):
        byte_count(text, "--gpu-memory")


def test_memory_is_that_of_the_process_and_not_of_the_one_that_started_it():
    """Linux tells a program the peak of its parent."""
    large = np.ones(400_000_000, np.uint8)
    command = [sys.executable, "-c", "from students.compare.measuring.memory import peak_memory; print(peak_memory())"]
    child = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert child < 200_000_000 < len(large) <= peak_memory()


def test_energy_is_of_the_device_that_is_used(monkeypatch):
    """Its own name goes to the driver, whose numbers do not follow CUDA_VISIBLE_DEVICES."""
    import torch

    from students.compare.measuring.energy import Energy

    counter = iter([5_000.0, 65_000.0, 67_000.0, 69_000.0])
    asked = []
    driver = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda name: asked.append(name),
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: next(counter),
        NVMLError=RuntimeError,
    )
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: SimpleNamespace(uuid=f"uuid-{number}"))
    energy = Energy()
    for _ in range(4):
        energy.step()
    assert energy.joules_a_step(2) == 2.0, "what the warm-up took does not count"
    assert asked == ["GPU-uuid-1"]


def test_without_an_accelerator_there_is_no_energy():
    import torch

    from students.compare.measuring.energy import Energy

    if torch.cuda.is_available():
        pytest.skip("this machine has an accelerator")
    energy = Energy()
    energy.step()
    energy.step()
    assert energy.joules_a_step(1) is None


def test_validation_images_are_scanned_once_however_many_comparisons_have_the_name(tmp_path, monkeypatch):
    from kdcache.images.shapes import Shapes
    from students.compare.run import BEGUN, COMPARES, Begun, _fixed, choose_out

    monkeypatch.chdir(tmp_path)
    scans, scan = [], Shapes.scan
    monkeypatch.setattr(Shapes, "scan", lambda self: scans.append(self) or scan(self))
    options = CompareOptions(("on-stream", "off-stream"), BuildOptions("florence"), val="shapes:count=9")
    recipe, known = load_preset("recipes", "demo", Recipe), {}
    much = Amount(data="shapes", images=9, whole=9, bytes=None, batch=3)
    for name in ("", "-2"):
        folder = COMPARES / f"florence-{options.student}{name}"
        folder.mkdir(parents=True)
        (folder / BEGUN).write_text(json.dumps(Begun(asked={}, amount=much).plain()))
    out = choose_out(options, recipe, known)
    assert out.name == f"florence-{options.student}-3"
    assert _fixed(options, recipe, out, known)["val images"] == scan(scans[0]).fingerprint
    assert len(scans) == 1


@given(st.integers(2, 10_000))
def test_a_warm_up_never_counts_and_leaves_steps_that_do(steps):
    assert 1 <= warm_up(steps) < steps
    assert warm_up(12) == 4, "as many pieces as are rendered ahead of the first step"
