"""The one small interface every teacher has."""

from typing import Protocol

import torch

from kdcache.signals.shown import Shown
from kdcache.signals.teacher import TeacherSpec


class Teacher(Protocol):
    """A frozen network in eval mode on one device."""

    @property
    def spec(self) -> TeacherSpec:
        """Description of the teacher: weights, preprocessing and signals."""

    def emit(self, shown: Shown) -> dict[str, torch.Tensor]:
        """Signal name -> float32 (batch, *shape), on the teacher's device.

        Normalises by itself, runs under inference_mode and the autocast of its spec.
        """
