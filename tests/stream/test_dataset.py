"""A cache as a dataset of PyTorch: pixels, targets and truths of one image, joined by row; the scripts of the docs run."""

import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from kdcache import Cache
from kdcache.base.progress import Silent
from kdcache.errors import Drift, Incomplete, UsageError
from kdcache.images import load, open_source
from kdcache.reshape.convert import convert
from kdcache.stream import Examples, UnknownSignal
from kdcache.views import view_pixels

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> Cache:
    """A cache of random views of the embedded set, with logits and an embedding."""
    from cli.app import run

    out = tmp_path_factory.mktemp("dataset") / "cache"
    words = "cache build --teacher florence --data shapes:count=96,size=32 --signal logits,embedding --workers 0 --device cpu"
    assert run([*words.split(), "--views", "2", "--recipe", "augment", "--batch", "16", "--out", str(out), "-qq"]) == 0
    return Cache.open(out)


def rendered(cache: Cache, row: int, view: int) -> np.ndarray:
    source, views = open_source(cache.plan.dataset.source), cache.plan.views
    return view_pixels(
        views.recipe,
        seed=views.seed,
        view=view,
        row=row,
        size=cache.teacher.preprocess.size,
        ids=cache.ids,
        load=lambda image_id: load(source, image_id, background=views.recipe.background),
    )


def test_an_item_is_what_the_teacher_saw_emitted_and_is_known(shapes: Cache) -> None:
    data = shapes.dataset(truths=["class", "description"], view=1)
    assert isinstance(data, Dataset)
    assert len(data) == 96
    for row in (0, 41, 95):
        item, stored = data[row], shapes.get(shapes.ids[row], view=1)
        assert item["row"] == row
        assert item["pixels"].dtype == torch.uint8
        assert np.array_equal(item["pixels"].numpy(), rendered(shapes, row, 1).transpose(2, 0, 1))
        assert np.array_equal(item["targets"]["embedding"].numpy(), stored["embedding"])
        assert np.array_equal(item["targets"]["logits"].numpy(), stored["logits"].probabilities()[0])
        assert item["truths"]["class"] == stored.label
        assert item["truths"]["description"] == f"a {shapes.classes[stored.label]}"
    assert data[-1]["row"] == 95
    with pytest.raises(IndexError):
        data[96]


def test_a_transform_gets_the_pixels_as_they_are(shapes: Cache) -> None:
    seen: list[Any] = []
    data = shapes.dataset(lambda pixels: (seen.append(pixels), pixels.mean())[1], signals=[])
    assert data[3]["pixels"] == rendered(shapes, 3, 0).mean()
    assert seen[0].shape == (*shapes.teacher.preprocess.size, 3)
    assert data[3]["targets"] == {}


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_give_what_one_process_gives(shapes: Cache, context: str) -> None:
    data = shapes.dataset(truths=["class"])
    alone = [data[number] for number in range(len(data))]
    workers = {"fork": 2, "spawn": 1}[context]  # one is enough to be spawned, and takes seconds
    loader = DataLoader(data, batch_size=40, num_workers=workers, multiprocessing_context=context)
    batches = list(loader)
    assert [len(batch["row"]) for batch in batches] == [40, 40, 16]
    for name in ("pixels", "row"):
        assert torch.equal(
            torch.cat([b[name] for b in batches]), torch.stack([torch.as_tensor(i[name]) for i in alone])
        )
    together = torch.cat([batch["targets"]["logits"] for batch in batches])
    assert torch.equal(together, torch.stack([item["targets"]["logits"] for item in alone]))
    assert torch.cat([batch["truths"]["class"] for batch in batches]).tolist() == shapes.labels.tolist()


def test_what_workers_get_is_small(shapes: Cache) -> None:
    data = shapes.dataset(truths=["class", "description"])
    before = len(pickle.dumps(data))
    data[5]
    assert len(pickle.dumps(data)) == before < 2000


def test_images_that_could_not_be_used_are_left_out(tmp_path: Path) -> None:
    """The golden cache of photos has one broken image."""
    golden = ROOT / "tests" / "golden"
    cache = Cache.open(golden / "caches" / "photos")
    bad = cache.rejected(0).tolist()
    assert len(bad) > 0
    data = cache.dataset(data=str(golden / "photos"))
    assert [data[place]["row"] for place in range(len(data))] == [row for row in range(len(cache)) if row not in bad]


def test_one_example_an_item(shapes: Cache) -> None:
    counts = np.arange(96) % 3
    data = shapes.dataset(signals=["embedding"], examples=Examples.of_items(counts))
    assert len(data) == counts.sum()
    pairs = [(item["row"], item["item"]) for item in (data[number] for number in range(4))]
    assert pairs == [(1, 0), (2, 0), (2, 1), (4, 0)]


def test_truths_that_are_no_numbers_are_collated_as_lists(shapes: Cache) -> None:
    data = shapes.dataset(truths=["description", "class"])
    (batch,) = DataLoader(data, batch_size=96, collate_fn=data.collate)
    assert batch["truths"]["description"] == [f"a {shapes.classes[label]}" for label in shapes.labels]
    assert batch["truths"]["class"] == shapes.labels.tolist()
    assert batch["pixels"].shape == (96, 3, *shapes.teacher.preprocess.size)


def test_other_pixels_than_the_teacher_saw_are_drift(shapes: Cache) -> None:
    other = shapes.dataset(data="shapes:count=96,size=32,seed=1")
    with pytest.raises(Drift, match=r"view 0 of train/000004 is not what the teacher of .*cache was shown") as caught:
        other[4]
    assert "--replay" in caught.value.hint
    assert shapes.dataset(data="shapes:count=96,size=32,seed=1", check=False)[4]["row"] == 4


def test_what_cannot_be_had_is_refused_before_anything_is_read(shapes: Cache) -> None:
    with pytest.raises(UnknownSignal, match="no signal 'tokens'"):
        shapes.dataset(signals=["tokens"])
    with pytest.raises(UsageError, match="has no truth called 'words'") as caught:
        shapes.dataset(truths=["words"])
    assert caught.value.hint == "there are class, description"
    with pytest.raises(UsageError, match="no view 2"):
        shapes.dataset(view=2)
    with pytest.raises(UsageError, match="the examples are for 3 rows"):
        shapes.dataset(examples=Examples.of_items(np.ones(3, np.int64)))


def test_a_view_that_is_not_built_is_incomplete() -> None:
    cache = Cache.open(ROOT / "tests" / "golden" / "caches" / "interrupted")
    with pytest.raises(Incomplete):
        len(cache.dataset(view=1))


def test_a_cache_without_a_dataset_needs_no_torch(shapes: Cache) -> None:
    code = "import sys; from kdcache import Cache; Cache.open(sys.argv[1]); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, shapes.path], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


NEEDS = {"plain_pytorch": "torch", "lightning_loop": "lightning", "hf_trainer": "accelerate"}


SCRIPTS = [path.stem for path in sorted((ROOT / "docs" / "examples").glob("*.py"))]


def script_done(script: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A script of the documentation, run with these arguments."""
    if importlib.util.find_spec(NEEDS[script]) is None:
        pytest.skip(f"{NEEDS[script]} is not installed, which {script}.py needs")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, str(ROOT / "docs" / "examples" / f"{script}.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=folder, env=environment)


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_the_scripts_of_the_documentation_run_as_they_stand(shapes: Cache, script: str, tmp_path: Path) -> None:
    done = script_done(script, tmp_path, str(shapes.path))
    assert done.returncode == 0, done.stderr
    assert "loss" in done.stdout or "steps" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_the_scripts_of_the_documentation_say_what_they_need(shapes: Cache, script: str, tmp_path: Path) -> None:
    without = tmp_path / "without"
    convert(shapes.path, without, signals=("embedding",), progress=Silent())
    for arguments, message in (((), f"usage: python docs/examples/{script}.py CACHE"), ((str(without),), "'logits'")):
        done = script_done(script, tmp_path, *arguments)
        assert done.returncode == 1
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
