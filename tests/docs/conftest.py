"""A folder as a reader of the pages has it: some photos, a small cache and a run trained from it."""

import shutil
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT
from tests.docs.commands import run_line

MADE = (
    "kd cache build --teacher florence --data shapes:count=64 --signal logits,embedding --out cache",
    "kd cache build --teacher florence --data shapes:count=64",
    "kd train --student tinyvit-5m --steps 1 --batch 8 --val shapes:split=val,count=16",
)
EACH = {"train": 8, "val": 4}


def make_photos(folder: Path) -> None:
    """Three classes of JPEGs in `train` and `val`, painted by the embedded set."""
    from PIL import Image

    from kdcache.images import load, open_source

    for split, each in EACH.items():
        source = open_source(f"shapes:split={split},seed=2")
        listing = source.scan()
        for number in range(3):
            rows = [row for row, label in enumerate(listing.labels.tolist()) if label == number][:each]
            place = folder / split / listing.classes[number].replace(" ", "-")
            place.mkdir(parents=True)
            for row in rows:
                Image.fromarray(load(source, str(listing.ids[row]))).save(place / f"{row:03d}.jpg", quality=92)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Path:
    """photos/, cache/ (logits and embeddings of 64 images), a cache and a run under kd/. No test may change it."""
    folder = tmp_path_factory.mktemp("reader") / "here"
    folder.mkdir()
    make_photos(folder / "photos")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for line in MADE:
            run_line(line)
    return folder


@pytest.fixture
def here(prepared, tmp_path, monkeypatch) -> Path:
    """A copy of it, to work in, with the presets of a checkout."""
    folder = shutil.copytree(prepared, tmp_path / "here")
    shutil.copytree(ROOT / "configs", folder / "configs")
    monkeypatch.chdir(folder)
    return folder
