"""The largest batch that fits on one device, by trial: doubled until it does not fit, then bisected.

Input: a task and the memory of a device. Output: the largest batch, and how many devices a batch of another size needs.
"""

from collections.abc import Callable
from pathlib import Path

from kdcache.base.progress import Progress
from kdcache.base.strict import Strict
from students.compare.measuring.measure import ArmTask
from students.compare.measuring.process import in_a_process

STEPS = 2
"""Number of steps that a batch is tried for: the optimiser allocates its state in the first, so the second takes the
most memory."""
FINE = 8
"""Resolution of the search: the gap between a batch that fits and one that does not is at most an eighth of it."""


class Room(Strict):
    """The largest batch that fits on one device."""

    memory: int
    """Memory of the device, in bytes."""
    largest: int
    """Largest batch that fits, in images; 0: not even one image fits."""
    all: bool
    """Whether the search stopped because there are no more images."""

    def devices(self, batch: int) -> int | None:
        """Number of devices a batch must be split over; None when even one image does not fit."""
        return -(-batch // self.largest) if self.largest else None


def room(task: ArmTask, memory: int, most: int, progress: Progress) -> Room:
    """Search with the task's student, teacher and images; `most`: number of images."""

    def fits(batch: int) -> bool:
        progress.note(f"{task.arm.name}: trying {batch:,} images at once")
        own = {"out": str(Path(task.out) / f"{batch}"), "batch": batch, "micro": batch, "steps": STEPS, "val": "none"}
        found = in_a_process(task.model_copy(update={**own, "memory": memory}), progress, task.arm.name)
        if found is None:
            return False
        # Without an accelerator the memory of the process is compared.
        return (found.peak_memory if found.reserved is None else found.reserved) <= memory

    largest = largest_that(fits, min(task.batch or 1, most), most)
    return Room(memory=memory, largest=largest, all=largest == most)


def largest_that(fits: Callable[[int], bool], start: int, most: int) -> int:
    """The largest number up to `most` that fits, to within an eighth; 0 if none does.

    Every number below one that fits is taken to fit as well.
    """
    low, high = 0, start
    while fits(high):
        low = high
        if low == most:
            return most
        high = min(2 * high, most)
    while not low and high > 1:
        half = high // 2
        if fits(half):
            low = half
        else:
            high = half
    while high - low > max(1, low // FINE) and low:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low
