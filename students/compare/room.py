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
"""Number of steps a batch is tried for: the optimiser allocates its state in the first one, so the second is the
larger."""
FINE = 8
"""Resolution of the search: the gap between a batch that fits and one that does not is at most an eighth of it."""


class Room(Strict):
    """The largest batch that fits on one device."""

    memory: int
    """Memory of the device, in bytes."""
    largest: int
    """Largest number of images in a step that fits; 0: not even one does."""
    all: bool
    """Whether the search stopped because there are no more images."""

    def devices(self, batch: int) -> int | None:
        """Number of devices a batch must be split over; None when even one image does not fit."""
        return -(-batch // self.largest) if self.largest else None


def room(task: ArmTask, memory: int, most: int, progress: Progress) -> Room:
    """Try with the task's own student, teacher and images, of which there are `most`."""

    def fits(batch: int) -> bool:
        progress.note(f"{task.arm.name}: trying {batch:,} images at once")
        own = {"out": str(Path(task.out) / f"{batch}"), "batch": batch, "micro": batch, "steps": STEPS, "val": "none"}
        found = in_a_process(task.model_copy(update={**own, "memory": memory}), progress, task.arm.name)
        if found is None:
            return False
        # Without an accelerator the process itself stands for the device.
        return (found.peak_memory if found.reserved is None else found.reserved) <= memory

    largest = largest_that(fits, min(task.batch or 1, most), most)
    return Room(memory=memory, largest=largest, all=largest == most)


def largest_that(fits: Callable[[int], bool], start: int, most: int) -> int:
    """The largest number up to `most` that fits, to an eighth; 0 when none does. Whatever is below one that fits, fits."""
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
