"""The one way a teacher is run over images: in batches of one size, filled up with black, and smaller once memory runs out.

A row's bits depend on the size of its batch, so that size is the plan's wherever the device has the memory for it: in a build,
when a training keeps the teacher connected, and when a cache is verified. Where it has not, images are shown in batches of half
the size, again and again; what is emitted may then differ in the last place from what a device with more memory gives.
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
"""Signal name -> a row for every image: a tensor, or `Padded` where rows differ in length."""


class Batches:
    """A teacher that is shown `size` images at a time."""

    def __init__(self, teacher: "Teacher", size: int, *, hint: str, note: Callable[[str], None] | None = None) -> None:
        """`hint`: the way out where not even one image fits. `note` is called with a line of text when the size is halved."""
        self._teacher, self._hint, self._note = teacher, hint, note
        self.planned = size
        """Images at a time where memory suffices."""
        self.size = size
        """Images at a time now."""

    def emit(self, shown: Shown) -> Emitted:
        """Signal name -> a row for every image shown, of which there may be any number above none."""
        while True:
            emitted = self._attempt(shown)
            if emitted is not None:
                return emitted
            self._halve()

    @property
    def facts(self) -> dict[str, int]:
        """What a receipt keeps of it: into how many pieces a batch was cut, where it was cut at all."""
        pieces = -(-self.planned // self.size)
        return {"pieces": pieces} if pieces > 1 else {}

    def _attempt(self, shown: Shown) -> Emitted | None:
        """None where memory has run out. What was emitted until then is given up, so that all rows come of one size."""
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
