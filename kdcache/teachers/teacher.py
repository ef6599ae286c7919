"""The one small interface every teacher has."""

from typing import Any, Protocol

from kdcache.signals.shown import Shown
from kdcache.signals.teacher import TeacherSpec


class Teacher(Protocol):
    """A frozen network in eval mode on one device."""

    @property
    def spec(self) -> TeacherSpec:
        """Description of the teacher: weights, preprocessing and signals."""

    def emit(self, shown: Shown) -> dict[str, Any]:
        """Signal name -> tensor (batch, *shape) on the teacher's device: float32, or of codes int64; `Padded` where rows differ
        in length.

        Normalises by itself, runs under inference_mode and the autocast of its spec.
        """
