"""The training of florence-nano, a DaViT that learns to classify with its head."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kdcache.teachers.families.florence import FAMILY
from kdcache.teachers.nano import nano_florence
from kdcache.teachers.nano_training.descent import Schedule
from kdcache.teachers.nano_training.named import trained_on_names
from kdcache.teachers.nano_training.pupils import Seen, save_half
from kdcache.teachers.nano_training.trainer import Made, Trainer, Work


class FlorencePupil:
    """The network in training, which learns to classify with its head."""

    dims: tuple[int, ...] = (64, 128)

    def __init__(self) -> None:
        self.network: Any = nano_florence().to(memory_format=torch.channels_last)

    def look(self, pixels: Tensor, dice: torch.Generator) -> Seen:
        """Logits and embedding; the grid is the output of the second of four stages."""
        net = self.network
        grid = net.stages[1](net.stages[0](net.stem(pixels)))
        last = net.norm_pre(net.stages[3](net.stages[2](grid)))
        return Seen(net.forward_head(last).float(), (grid.float(),), last.mean((2, 3)).float())

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy with label smoothing of 0.1."""
        return nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)

    def answer(self, pixels: Tensor) -> Tensor:
        """Logits of the head."""
        logits: Tensor = self.network(pixels).float()
        return logits

    def save(self, out: Path, facts: dict[str, str]) -> Path:
        """Write one file with timm's tensor names."""
        return save_half(self.network.state_dict(), out / FAMILY.nano_file, facts)


def _make(work: Work) -> Made:
    return trained_on_names(FlorencePupil(), work, measured="through the head")


TRAINER = Trainer(Schedule(epochs=24, rate=2e-3), _make)
