"""A small cache of the embedded images, said by a teacher without a network, and short trainings from it."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kdcache.base.progress import Silent

LISTENED = "shapes:count=64,size=32"


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads add in another order than one; and the tests run beside each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def build_cache(out: Path, *, codec: str = "full", data: str = LISTENED, views: int = 1, **asked: Any) -> Path:
    """florence-nano, which is quick, over a few embedded images."""
    from kdcache.build.options import BuildOptions
    from kdcache.build.prepare import prepare
    from kdcache.build.run import build

    options = BuildOptions(
        teacher="florence",
        data=data,
        views=views,
        codecs={"logits": codec},
        batch=16,
        part_rows=16,
        workers=0,
    )
    build(prepare(replace(options, **asked), out), progress=Silent())
    return out


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 images, two random views, every logit as the teacher said it."""
    return build_cache(tmp_path_factory.mktemp("caches") / "two-views", views=2)


def learn(
    out: Path, cache: Path | None = None, *, where: dict[str, Any] | None = None, resume: bool = False, **asked: Any
):
    """A short training in float32, eight images a step at 32 pixels -> (run, outcome)."""
    from students.options import MachineOptions, TrainOptions
    from students.train.start import go_on, start

    here = MachineOptions(device="cpu", **{"workers": 0, **(where or {})})
    if resume:
        finished = go_on(out, here, Silent())
        return finished.run, finished.outcome
    settings = ("precision=float32", "optimiser.warmup=0", *asked.pop("settings", ()))
    options = TrainOptions(
        **{"size": 32, "batch": 8, "val": "none", "log_every": 1, "keep_every": 100, **asked},
        cache=cache,
        out=out,
        settings=settings,
    )
    finished = start(options, here, Silent())
    return finished.run, finished.outcome


def trained_by(processes: int, out: Path, *asked: str):
    """`kd train` under torchrun, every step told -> run."""
    from students.runs.run import Run

    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    kd = [*launcher, "-m", "tests.students.as_command", "train", *asked, "--out", str(out)]
    fixed = ["--log-every", "1", "--val", "none", "--workers", "0", "--device", "cpu", "--set", "precision=float32"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *kd, *fixed], capture_output=True, text=True, timeout=280, env=environment)
    assert done.returncode == 0, done.stderr
    return Run.open(out)


def losses_of(run) -> list[float]:
    """The loss of every step."""
    return [line["loss"] for line in run.metrics() if line["kind"] == "train"]


def weights_of(run) -> dict[str, Any]:
    """Of its best validation, by name."""
    from safetensors.torch import load_file

    return load_file(run.weights)


def same(one, other) -> bool:
    """To the last bit."""
    import torch

    mine, theirs = weights_of(one), weights_of(other)
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
