"""Measures one training of one arm in its own process, so that memory and time are those of this training only.

Input: an ArmTask. Output: Measured, both as JSON. Peak memory can only be read for a whole process, and in an off-stream
training no teacher may be loaded in the process.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kdcache.base.digest import file_digest
from kdcache.base.notes import Note
from kdcache.base.own_process import serve
from kdcache.base.strict import Strict
from kdcache.errors import OutOfMemory
from students.compare.arms import Arm
from students.compare.measuring.bars import Relayed
from students.compare.measuring.energy import Energy
from students.compare.measuring.memory import peak_memory
from students.options import MachineOptions, TrainOptions
from students.plan.validation import UNJUDGED

STAGES = ("waiting", "teacher", "student", "optimiser")
WARM_UP = 3
"""One in so many steps, at least one, is a warm-up that does not count: of 12 steps 4, which is how many pieces are rendered
ahead of the first (students/train/feed.py), so that a training that waits for its images is not measured too fast."""


class ArmTask(Strict):
    """Options of the training that the process runs."""

    arm: Arm
    cache: str
    out: str
    student: str
    recipe: str
    settings: tuple[str, ...]
    data: str | None
    val: str | tuple[str, ...] | None
    size: int | None
    background: str | None
    """Colour under transparent pixels in views that come from no cache."""
    steps: int
    batch: int | None
    micro: int | None
    seed: int
    device: str
    workers: int | None
    teacher_weights: str | None
    teacher_head: str | None
    memory: int | None = None
    """Largest amount of accelerator memory the process may use, in bytes; None: all of it."""


class Measured(Strict):
    """Results of the process."""

    arm: str
    seed: int
    steps: int
    images: int
    step_seconds: float
    """Mean seconds of a step, without the warm-up."""
    stages: dict[str, float]
    """Stage -> mean seconds in a step; what `step_seconds` has beyond their sum is bookkeeping."""
    images_per_second: float
    peak_memory: int
    """Peak resident memory of the process, in bytes."""
    allocated: int | None
    """Peak accelerator memory in tensors, in bytes; None on a CPU."""
    reserved: int | None
    """Peak accelerator memory that torch reserved from the driver, in bytes; None on a CPU."""
    energy: float | None
    """Joules the accelerator used in a step, without the warm-up; None where it has no counter."""
    losses: tuple[float, ...]
    score: float | None
    """Score of the recipe's validation task; None if the student was not judged."""
    unjudged: str | None
    """Reason why there is no score; None if there is one."""
    pixels: int
    """Side length of the student's input, in pixels."""
    weights: str
    """Digest of the student's final weights file."""
    imported_teacher: bool
    """Whether any teacher module was imported in the process."""


def measure(task: ArmTask) -> Measured:
    """Train, and measure time, memory and score."""
    from students.train.start import start

    if task.memory is not None and not _where(task).on_cpu:
        _keep_within(task.memory)
    energy = Energy()
    finished = start(_options(task), _where(task), Relayed(energy.step))
    run, outcome = finished.run, finished.outcome
    lines = [line for line in run.metrics() if line["kind"] == "train"]
    stages, step_seconds = _split(lines)
    batch = run.record.recipe.batch
    allocated, reserved = _accelerator(_where(task))
    return Measured(
        arm=task.arm.name,
        seed=task.seed,
        steps=outcome.state.step,
        images=outcome.state.images,
        step_seconds=step_seconds,
        stages=stages,
        images_per_second=batch / step_seconds,
        peak_memory=peak_memory(),
        allocated=allocated,
        reserved=reserved,
        energy=energy.joules_a_step(warm_up(outcome.state.step)),
        losses=tuple(line["loss"] for line in lines),
        score=outcome.score,
        unjudged=None if outcome.validation else _unjudged(finished.notes),
        pixels=run.record.student.input[0],
        weights=file_digest(run.weights),
        imported_teacher=any(name.startswith("kdcache.teachers") for name in sys.modules),
    )


def _unjudged(notes: Sequence[Note]) -> str:
    """Why the student was not judged."""
    return next((note.text for note in notes if note.kind == UNJUDGED), "judging was switched off with --val none")


def _options(task: ArmTask) -> TrainOptions:
    return TrainOptions(
        student=task.student,
        recipe=task.recipe,
        settings=(*task.settings, *task.arm.settings),
        cache=None if task.arm.stream == "none" else Path(task.cache),
        stream=task.arm.stream,
        val=task.val,
        size=task.size,
        background=task.background,
        out=Path(task.out),
        seed=task.seed,
        steps=task.steps,
        batch=task.batch,
        micro=task.micro,
        log_every=1,
        validate_every=task.steps,
        keep_every=task.steps,
    )


def _where(task: ArmTask) -> MachineOptions:
    data = task.data
    return MachineOptions(
        task.device,
        task.workers,
        keep_views=0,  # of a job that is larger than what is measured, each step may have to render its views
        data=data,
        weights=task.teacher_weights,
        head=task.teacher_head,
        timed=True,
    )


def _split(lines: list[dict[str, Any]]) -> tuple[dict[str, float], float]:
    """Mean seconds of a step, by stage and in all, without the warm-up, when caches fill and kernels are chosen."""
    settled = lines[warm_up(len(lines)) :] or lines
    each = [line["step_seconds"] for line in settled]
    stages = {stage: sum(line[stage] * line["step_seconds"] for line in settled) / len(settled) for stage in STAGES}
    return stages, sum(each) / len(each)


def warm_up(steps: int) -> int:
    """Number of steps, from the first on, that do not count."""
    return max(1, steps // WARM_UP)


def _accelerator(where: MachineOptions) -> tuple[int | None, int | None]:
    if where.on_cpu:
        return None, None
    import torch

    return torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()


def _keep_within(memory: int) -> None:
    """Limit this process to that much accelerator memory, as if the device had no more."""
    import torch

    _, whole = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction(min(1.0, memory / whole))


def measured(task: dict[str, Any]) -> dict[str, Any] | None:
    """ArmTask in, Measured out; None when the accelerator's memory is not enough."""
    from kdcache.base.machine import out_of_memory

    try:
        return measure(ArmTask.from_plain(task)).plain()
    except (out_of_memory(), OutOfMemory):
        return None


if __name__ == "__main__":
    serve(measured)
