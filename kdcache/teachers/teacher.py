"""The one small interface every teacher has."""

from typing import Protocol

import torch

from kdcache.signals.teacher import TeacherSpec


class Teacher(Protocol):
    """A frozen network in eval mode on one device."""

    @property
    def spec(self) -> TeacherSpec:
        """Who it is and what it says."""

    def say(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """uint8 views (batch, height, width, 3), on any device -> signal name -> float32 (batch, *shape) on the teacher's.

        Normalises by itself, runs under inference_mode and the autocast of its spec.
        """
