import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

QUICK = ["--steps", 1, "--batch", 8, "--val", "none", "--workers", 0, "--device", "cpu"]
"""a training that is over soon"""


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def kd(capsys, monkeypatch, tmp_path):
    """Runs a command line in this process, in an empty folder."""
    from cli.app import run

    monkeypatch.chdir(tmp_path)
    for name in [n for n in os.environ if n.startswith("KD_")]:
        monkeypatch.delenv(name)

    def call(*arguments):
        capsys.readouterr()
        code = run([str(a) for a in arguments])
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return call


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """Ten small JPEGs in two class folders."""
    import numpy as np
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos")
    for number in range(10):
        path = folder / ("cats" if number % 2 else "dogs") / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        noise = np.random.Generator(np.random.Philox(number)).integers(0, 256, (40, 48, 3), np.uint8)
        Image.fromarray(noise).save(path)
    return folder


@pytest.fixture(scope="session")
def build_words(photos) -> list[str]:
    """A build that takes two seconds: a tiny timm model that says embeddings."""
    words = (
        "cache build --teacher timm:test_vit --weights random --signal embedding --batch 4 --part-rows 4 --workers 0"
    )
    return [*words.split(), "--data", str(photos), "--device", "cpu"]


@pytest.fixture(scope="session")
def built(build_words, tmp_path_factory) -> Path:
    """A complete cache that no test may change."""
    from cli.app import run

    out = tmp_path_factory.mktemp("caches") / "built"
    assert run([*build_words, "--out", str(out), "-qq"]) == 0
    return out


@pytest.fixture
def run(tmp_path) -> Path:
    """A run at 64 pixels that was begun with 1 step of 8 images."""
    from tests.students.trained import make_run

    return make_run(tmp_path / "kd" / "runs" / "photos-run").path


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    """A cache of 64 embedded images that a student can learn from; no test may change it."""
    from tests.students.conftest import build_cache

    return build_cache(tmp_path_factory.mktemp("caches") / "c")
