"""The training of Florence's sizes in the package, small DaViTs that learn to classify with their heads."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kdcache.teachers.nano import MINI_SIDE, mini_florence, nano_florence
from kdcache.teachers.nano_training.named import trained_on_names
from kdcache.teachers.nano_training.pupils import Seen, save_half
from kdcache.teachers.nano_training.schedule import Schedule
from kdcache.teachers.nano_training.trainer import Made, Trainer, Work

THIRD_STRIDE = 16
"""Downsampling factor of the third of four stages, whose map the windows should divide."""
LARGEST_WINDOW = 7


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
        set_windows(net, pixels.shape[-1])
        grid = net.stages[1](net.stages[0](net.stem(pixels)))
        last = net.norm_pre(net.stages[3](net.stages[2](grid)))
        return Seen(net.forward_head(last).float(), (grid.float(),), last.mean((2, 3)).float())

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy with label smoothing of 0.1."""
        return nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)

    def answer(self, pixels: Tensor) -> Tensor:
        """Logits of the head."""
        set_windows(self.network, pixels.shape[-1])
        logits: Tensor = self.network(pixels).float()
        return logits

    def save(self, path: Path, facts: dict[str, str]) -> Path:
        """Write one file with timm's tensor names."""
        return save_half(self.network.state_dict(), path, facts)


def set_windows(network: Any, side: int) -> None:
    """Set the attention windows for pictures of this side length, so that little is padded: 4 at 64 and 128 pixels, 7 at 224.

    No weight of a DaViT depends on the window.
    """
    grid = side // THIRD_STRIDE
    window = next(window for window in range(min(LARGEST_WINDOW, grid), 0, -1) if grid % window == 0)
    for stage in network.stages:
        for block in stage.blocks:
            block.spatial_block.window_size = (window, window)


def _make_nano(work: Work) -> Made:
    return trained_on_names(FlorencePupil(nano_florence()), work, measured="through the head")


def _make_mini(work: Work) -> Made:
    return trained_on_names(FlorencePupil(mini_florence()), work, measured="through the head")


NANO_TRAINER = Trainer(Schedule(epochs=24, rate=2e-3), _make_nano)
MINI_TRAINER = Trainer(
    Schedule(epochs=18, rate=2e-3, sides=((0.0, 64), (7 / 12, 128), (10 / 12, MINI_SIDE)), fresh=True), _make_mini
)
