"""Copies of the goldens: nothing that is tested writes into them."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.golden import network as _network  # noqa: F401  (timm learns of it)

HERE = Path(__file__).parent
FACTS: dict[str, Any] = json.loads((HERE / "facts.json").read_text())

Take = Callable[[str], Path]


@dataclass(frozen=True)
class Goldens:
    """A folder that copies are taken into."""

    root: Path

    def take(self, name: str) -> Path:
        """A copy of `caches/hdf5`, `runs/whole`, `photos`, …; what runs say about where things lie is written anew."""
        copy = self.root / name
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if (HERE / name).is_dir() else shutil.copy2)(HERE / name, copy)
            record = copy / "run.json"
            if record.exists():
                record.write_text(record.read_text().replace(FACTS["root"], str(self.root)))
        return copy

    def cache(self, name: str) -> Path:
        """A copy of a cache."""
        return self.take(f"caches/{name}")

    def run(self, name: str) -> Path:
        """A copy of a run, and of the cache and the weights it learns from."""
        for other in ("caches/dense", "teacher.pt") if name.startswith("dense") else ("caches/hdf5",):
            self.take(other)
        return self.take(f"runs/{name}")


@pytest.fixture
def goldens(tmp_path: Path) -> Goldens:
    return Goldens(tmp_path / "goldens")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """As they were made: two threads add in another order than one."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
