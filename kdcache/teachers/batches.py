"""The only code that runs a teacher over images: in batches of a fixed size, padded with black images, halved if memory runs out.

The exact bits of a row depend on the batch size, so the plan's size is used whenever the device has enough memory: in a build,
in on-stream training, and when a cache is verified. Otherwise the batch is halved until it fits; the values may then differ
in the last digit from those of a device with more memory.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kdcache.base.machine import out_of_memory
from kdcache.errors import OutOfMemory
from kdcache.signals.padded import joined
from kdcache.signals.shown import Shown

if TYPE_CHECKING:
    from kdcache.teachers.teacher import Teacher

Emitted = dict[str, Any]
"""Signal name -> one row for every image: a tensor, or `Padded` if rows differ in length."""


class Batches:
    """Runs a teacher on `size` images at a time."""

    def __init__(self, teacher: "Teacher", size: int, *, hint: str, note: Callable[[str], None] | None = None) -> None:
        """`hint`: for the error when not even one image fits. `note` is called with a line of text when the size is halved."""
        self._teacher, self._hint, self._note = teacher, hint, note
        self.planned = size
        """Batch size if memory suffices."""
        self.size = size
        """Present batch size."""

    def emit(self, shown: Shown) -> Emitted:
        """Run the teacher on any number of images above zero; returns signal name -> one row for every image."""
        while True:
            emitted = self._attempt(shown)
            if emitted is not None:
                return emitted
            self._halve()

    @property
    def facts(self) -> dict[str, int]:
        """Facts for a receipt: into how many pieces batches were cut; empty if they were not."""
        pieces = -(-self.planned // self.size)
        return {"pieces": pieces} if pieces > 1 else {}

    def _attempt(self, shown: Shown) -> Emitted | None:
        """Run all pieces; None if memory ran out. Then nothing is kept, so that all rows come from batches of one size."""
        try:
            pieces = [self._piece(shown[first : first + self.size]) for first in range(0, len(shown), self.size)]
        except out_of_memory():
            return None
        if len(pieces) == 1:
            return pieces[0]
        return {name: joined([piece[name] for piece in pieces]) for name in pieces[0]}

    def _piece(self, shown: Shown) -> Emitted:
        emitted = self._teacher.emit(shown.padded(self.size))
        return {name: values[: len(shown)] for name, values in emitted.items()}

    def _halve(self) -> None:
        if self.size == 1:
            message = "the teacher does not fit into the memory of the device, even with one image a batch"
            raise OutOfMemory(message, hint=self._hint)
        self.size //= 2
        if self._note is not None:
            self._note(f"out of memory: the teacher now sees {self.size} images at a time")
