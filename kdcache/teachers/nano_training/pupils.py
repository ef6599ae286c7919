"""Networks that learn the names of classes: what each provides to the training, and how a checkpoint is written.

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
    """What a network in training makes of a batch."""

    logits: Tensor
    """Class logits, (batch, classes)."""
    grids: tuple[Tensor, ...]
    """Feature maps half-way through the network, (batch, dim, 8, 8); the first predicts where the target is."""
    whole: Tensor
    """Embedding of the whole picture, (batch, dim)."""


class Pupil(Protocol):
    """A network in training."""

    network: nn.Module
    dims: tuple[int, ...]
    """Channels of each feature map, then of the embedding."""

    def look(self, pixels: Tensor, dice: torch.Generator) -> Seen:
        """What it sees, as it is in training."""

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """How wrong the logits are."""

    def answer(self, pixels: Tensor) -> Tensor:
        """Logits as they are used afterwards."""

    def save(self, out: Path, facts: dict[str, str]) -> Path:
        """Write the checkpoint below a folder; returns the weights file."""


def save_half(tensors: Mapping[str, Tensor], path: Path, facts: dict[str, str]) -> Path:
    """Write a weights file, floating point as float16, with what its header says."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().contiguous() for name, value in tensors.items()}
    half = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    unfinished = path.with_suffix(".unfinished")
    save_file(half, unfinished, {"format": "pt", **facts})
    unfinished.chmod(0o644)
    return unfinished.replace(path)
