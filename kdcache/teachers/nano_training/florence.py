"""The training of florence-nano, a DaViT that learns to classify with its head."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kdcache.teachers.nano import nano_florence
from kdcache.teachers.nano_training.named import trained_on_names
from kdcache.teachers.nano_training.pupils import Seen, save_half
from kdcache.teachers.nano_training.schedule import Schedule
from kdcache.teachers.nano_training.trainer import Made, Trainer, Work


class FlorencePupil:
    """The network in training, which learns to classify with its head."""

    def __init__(self, network: nn.Module) -> None:
        self.network: Any = network.to(memory_format=torch.channels_last)
        stages: Any = self.network.stages
        widths = [int(stage.blocks[0].spatial_block.norm1.weight.numel()) for stage in stages]
        self.dims: tuple[int, ...] = (widths[1], widths[-1])

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

    def save(self, path: Path, facts: dict[str, str]) -> Path:
        """Write one file with timm's tensor names."""
        return save_half(self.network.state_dict(), path, facts)


def _make(work: Work) -> Made:
    return trained_on_names(FlorencePupil(nano_florence()), work, measured="through the head")


TRAINER = Trainer(Schedule(epochs=24, rate=2e-3), _make)
