"""One arm, once, in a process of its own: memory, time and result of nothing but this training.

Input: a JSON document on stdin. Output: one on stdout. The peak of memory is a process's, and
an off-stream training must not have a teacher anywhere in its process.
"""

import json
import resource
import sys
from pathlib import Path
from typing import Any

from kdcache.digest import file_digest
from kdcache.strict import Strict
from students.compare.arms import Arm
from students.options import TrainOptions, Where

STAGES = ("waiting", "teacher", "student", "optimiser")


class Task(Strict):
    """What the process is told."""

    arm: Arm
    cache: str
    out: str
    student: str
    recipe: str
    settings: tuple[str, ...]
    data: str | None
    val: str | None
    size: int | None
    steps: int
    batch: int | None
    micro: int | None
    seed: int
    device: str
    workers: int | None
    teacher_weights: str | None
    teacher_head: str | None


class Measured(Strict):
    """What it tells."""

    arm: str
    seed: int
    steps: int
    images: int
    step_seconds: float
    """of a step, after the first tenth of all steps"""
    stages: dict[str, float]
    """seconds of a step by stage; the rest of `step_seconds` is bookkeeping"""
    images_per_second: float
    peak_memory: int
    """bytes resident in this process at its peak"""
    allocated: int | None
    """bytes of the accelerator at the peak, in tensors"""
    reserved: int | None
    """and held by torch"""
    energy: float | None
    """joules, where the device tells"""
    losses: tuple[float, ...]
    top1: float | None
    weights: str
    """digest of the student's weights at the end"""
    imported_teacher: bool


def measure(task: Task) -> Measured:
    """Train, and look at what it took."""
    from kdcache.progress import Silent
    from students.start import start

    energy = _Energy(task.device)
    finished = start(_options(task), _where(task), Silent())
    run, outcome = finished.run, finished.outcome
    lines = [line for line in run.metrics() if line["kind"] == "train"]
    stages, step_seconds = _split(lines)
    batch = run.record.recipe.batch
    allocated, reserved = _accelerator(task.device)
    return Measured(
        arm=task.arm.name,
        seed=task.seed,
        steps=outcome.state.step,
        images=outcome.state.images,
        step_seconds=step_seconds,
        stages=stages,
        images_per_second=batch / step_seconds,
        peak_memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        allocated=allocated,
        reserved=reserved,
        energy=energy.joules(),
        losses=tuple(line["loss"] for line in lines),
        top1=None if outcome.validation is None else outcome.validation["top1"],
        weights=file_digest(run.weights),
        imported_teacher=any(name.startswith("kdcache.teachers") for name in sys.modules),
    )


def _options(task: Task) -> TrainOptions:
    return TrainOptions(
        student=task.student,
        recipe=task.recipe,
        settings=(*task.settings, *task.arm.settings),
        cache=None if task.arm.stream == "none" else Path(task.cache),
        stream=task.arm.stream,
        val=task.val,
        size=task.size,
        out=Path(task.out),
        seed=task.seed,
        steps=task.steps,
        batch=task.batch,
        micro=task.micro,
        log_every=1,
        validate_every=task.steps,
        keep_every=task.steps,
    )


def _where(task: Task) -> Where:
    data = task.data
    return Where(task.device, task.workers, data, weights=task.teacher_weights, head=task.teacher_head, timed=True)


def _split(lines: list[dict[str, Any]]) -> tuple[dict[str, float], float]:
    """Mean seconds of a step, by stage and in all, without the first tenth, in which caches fill and kernels are chosen."""
    settled = lines[max(1, len(lines) // 10) :] or lines
    each = [line["step_seconds"] for line in settled]
    stages = {stage: sum(line[stage] * line["step_seconds"] for line in settled) / len(settled) for stage in STAGES}
    return stages, sum(each) / len(each)


def _accelerator(device: str) -> tuple[int | None, int | None]:
    import torch

    if device.startswith("cpu") or not torch.cuda.is_available():
        return None, None
    return torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()


class _Energy:
    """Joules of the first accelerator since this was made; None where nothing tells."""

    def __init__(self, device: str) -> None:
        self._start = self._counter() if not device.startswith("cpu") else None

    def joules(self) -> float | None:
        """So far."""
        now = self._counter() if self._start is not None else None
        return None if now is None or self._start is None else (now - self._start) / 1000

    @staticmethod
    def _counter() -> float | None:
        """Millijoules since the driver was loaded."""
        try:
            import pynvml

            pynvml.nvmlInit()
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(pynvml.nvmlDeviceGetHandleByIndex(0)))
        except Exception:  # noqa: BLE001  (a device or driver that does not tell is no failure)
            return None


if __name__ == "__main__":
    found = measure(Task.from_plain(json.load(sys.stdin)))
    sys.stdout.write(json.dumps(found.plain()) + "\n")
