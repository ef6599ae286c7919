"""Run folders with random weights, for what starts where training ends."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from kdcache.store.plan import Dataset, ViewPlan
from students.families.registry import build_student, student_spec
from students.families.spec import StudentSpec
from students.recipe import Optimiser, Recipe
from students.runs.record import Pacing, RunRecord
from students.runs.run import Run

NAMES = ("circle", "square", "star", "Dreieck ▲")


def small_spec(name: str = "tinyvit-5m", *, size: int = 64, classes: tuple[str, ...] = NAMES) -> StudentSpec:
    return student_spec(name, classes=classes, size=size)


def shaken(spec: StudentSpec, seed: int = 0) -> Any:
    """A student whose every tensor is far from its first value, so that swapping two of them shows in the logits."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_student(spec)
        for name, tensor in network.state_dict().items():
            if name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight")):
                tensor.uniform_(0.5, 1.5)
            elif tensor.is_floating_point():
                tensor.normal_(std=1.0 if tensor.ndim < 2 else tensor[0].numel() ** -0.5)
    return network.eval()


def make_run(path: Path, spec: StudentSpec | None = None, seed: int = 0) -> Run:
    """A finished run of that student, with `shaken` weights."""
    spec = spec or small_spec()
    shapes = {"kind": "shapes", "split": "train"}
    dataset = Dataset(name="shapes", source=shapes, fingerprint="0", rows=8, index_digest="0", classes=spec.classes)
    record = RunRecord(
        kind="train",
        student=spec,
        recipe=Recipe(epochs=1, batch=8, optimiser=Optimiser(rate=0.001, decay=0.01)),
        seed=0,
        stream="none",
        dataset=dataset,
        views=ViewPlan(recipe=spec.geometry, seed=0, count=1),
        pacing=Pacing(steps=1, steps_an_epoch=1, micro=8, views=None, log_every=1, validate_every=1, keep_every=1),
        versions={},
    )
    with Run.begun(path, record) as run:
        run.write_record()
    save_file(shaken(spec, seed).state_dict(), path / "best.safetensors")
    return run
