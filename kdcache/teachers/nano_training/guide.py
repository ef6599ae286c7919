"""A guide for clip-nano: it also learns from the features of florence-nano, whose convolutions recognise shapes well.

Input: pixels, and the pupil's features for them. Output: a loss. A small transformer that is trained only on classes needs
hundreds of epochs to recognise shapes; with the features of a convolutional network as target at every patch, it needs tens.
"""

from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from kdcache.teachers.families.florence import FAMILY
from kdcache.teachers.nano import IMAGENET_PIXELS, nano_florence
from kdcache.teachers.nano_training.pictures import normalised
from kdcache.teachers.nano_training.pupils import Seen


class Guide(nn.Module):
    """Frozen florence-nano, and three linear maps from the pupil's features to its own, which are discarded afterwards."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        _, early, late, whole = dims
        self.early, self.late, self.whole = nn.Linear(early, 64), nn.Linear(late, 96), nn.Linear(whole, 128)
        tower = nano_florence().requires_grad_(False)
        tower.load_state_dict(load_file(FAMILY.in_package("nano").weights()))
        # In a tuple, so that it is not among the module's parameters and is not trained.
        self._tower: tuple[Any] = (tower.float().eval().to(memory_format=torch.channels_last),)

    def forward(self, pixels: Tensor, seen: Seen) -> Tensor:
        """Distance between pupil and guide: in two feature grids, in the embedding, and in the class probabilities."""
        *wanted, beliefs = self._see(pixels)
        _, middle, last = seen.grids
        predicted = (
            self.early(middle.flatten(2).mT),
            self.late(functional.avg_pool2d(last, 2).flatten(2).mT),
            self.whole(seen.whole),
        )
        distances = torch.stack(
            [functional.mse_loss(mine.float(), its) for mine, its in zip(predicted, wanted, strict=True)]
        )
        return 2 * distances.sum() - (beliefs * seen.logits.log_softmax(1)).sum(1).mean()

    @torch.no_grad()
    def _see(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Features of the second and third stage per position, pooled features of the last stage, all scaled; class logits."""
        (net,) = self._tower
        seen = normalised(pixels, IMAGENET_PIXELS).contiguous(memory_format=torch.channels_last)
        second = net.stages[1](net.stages[0](net.stem(seen)))
        third = net.stages[2](second)
        last = net.norm_pre(net.stages[3](third))
        grids = (stage.float().flatten(2).mT for stage in (second, third))
        beliefs: Tensor = net.forward_head(last).float().softmax(1)
        return *(_scaled(grid) for grid in (*grids, last.float().mean((2, 3)))), beliefs


def _scaled(values: Tensor) -> Tensor:
    """Scale every channel to mean 0 and variance 1 over the batch and, if there are any, the positions."""
    over = tuple(range(values.ndim - 1))
    return (values - values.mean(over, keepdim=True)) / (values.std(over, keepdim=True) + 1e-4)
