"""The interface of every teacher."""

from typing import Any, Protocol

from kdcache.signals.shown import Shown
from kdcache.signals.teacher import TeacherSpec


class Teacher(Protocol):
    """A frozen network in eval mode on one device."""

    @property
    def spec(self) -> TeacherSpec:
        """Description of the teacher: weights, preprocessing and signals."""

    def emit(self, shown: Shown) -> dict[str, Any]:
        """Signal name -> tensor (batch, *shape) on the teacher's device: float32, or int64 for codes; `Padded` if rows differ in
        length.

        It normalises the pixels itself, and runs under inference_mode and the autocast precision of its spec.
        """
