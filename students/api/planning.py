"""What `kd cache plan` says about a student, as a Python function: whether a cache that does not exist yet would pay."""

from typing import TYPE_CHECKING

from kdcache.base.strict import Strict
from students.compare.position import Position
from students.compare.result.sums import Workload

if TYPE_CHECKING:
    from kdcache.build.estimate import Estimate


class PlannedJob(Strict):
    """A training from a planned cache, and where it lies (docs/when-it-pays.md)."""

    student: str
    pixels: int
    """Side length of the student's input, in pixels."""
    batch: int
    """Images in a step of the student's recipe."""
    step_seconds: float
    """Seconds of such a step on this machine, without rendering and reading."""
    measured_images: int
    """Number of images the step was measured on."""
    teacher_seconds: float
    """Seconds that the teacher takes for as many images."""
    job: Workload
    position: Position


def place_job(
    estimate: "Estimate",
    *,
    student: str | None = None,
    student_size: int | None = None,
    epochs: float | None = None,
    students: int = 1,
) -> PlannedJob:
    """Measure a few steps of a student, and say what the cache of an estimate (`kdcache.plan_cache`) would save it.

    Without `student` it is the default one, or else the first that learns from what the cache would keep; without `epochs`, those
    of its recipe. Raises a KDError if the student cannot be trained from that cache, or cannot be measured.
    """
    from students.compare.position import costs_from_parts, position
    from students.plan.ahead import epochs_of, planned_run
    from students.plan.effects import check_epochs
    from students.plan.sides import shows_images
    from students.train.step_time import measure_step

    check_epochs(epochs)
    on_cpu = estimate.device.startswith("cpu")
    record = planned_run(estimate.plan, student, size=student_size, device=estimate.device)
    step = measure_step(record, estimate.device)
    job = Workload(images=estimate.rows, epochs=epochs or epochs_of(record), students=students, views=estimate.views)
    costs = costs_from_parts(
        1 / estimate.teacher_images_per_second,
        step.seconds / step.batch,
        1 / estimate.render_images_per_second,
        shown=shows_images(record.recipe, record.student, record.all_caches),
        on_cpu=on_cpu,
    )
    return PlannedJob(
        student=record.student.name,
        pixels=record.student.input[0],
        batch=step.batch,
        step_seconds=step.seconds,
        measured_images=step.measured,
        teacher_seconds=step.batch / estimate.teacher_images_per_second,
        job=job,
        position=position(costs, job),
    )
