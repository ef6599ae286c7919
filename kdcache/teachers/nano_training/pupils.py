"""The contract of networks that are trained with labels, and how their checkpoints are written.

Input: normalised pixels. Output: logits for the classes of `shapes`, and weights files in float16.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Seen:
    """The outputs of a network in training for a batch."""

    logits: Tensor
    """Class logits, (batch, classes)."""
    grids: tuple[Tensor, ...]
    """Feature maps from the middle of the network, (batch, dim, height, width); the first one predicts where the target is."""
    whole: Tensor
    """Embedding of the whole picture, (batch, dim)."""


class Pupil(Protocol):
    """A network in training."""

    network: nn.Module
    dims: tuple[int, ...]
    """Channels of each feature map, then of the embedding."""

    def look(self, pixels: Tensor, dice: torch.Generator) -> Seen:
        """The outputs for a batch during training."""

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of the logits."""

    def answer(self, pixels: Tensor) -> Tensor:
        """Logits as they are computed after training."""

    def save(self, path: Path, facts: dict[str, str]) -> Path:
        """Write the checkpoint, whose weights file has this path; returns it."""


def save_half(tensors: Mapping[str, Tensor], path: Path, facts: dict[str, str]) -> Path:
    """Write a weights file with floats as float16 and `facts` in its header."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().contiguous() for name, value in tensors.items()}
    half = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    unfinished = path.with_suffix(".unfinished")
    save_file(half, unfinished, {"format": "pt", **facts})
    unfinished.chmod(0o644)
    return unfinished.replace(path)
