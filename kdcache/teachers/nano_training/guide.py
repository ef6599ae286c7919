"""What clip-nano learns from besides captions: florence-nano, which sees shapes well because it convolves.

Input: the same pixels, and what the pupil made of them. Output: one loss. A small transformer trained on the class alone takes
hundreds of epochs to see a shape; told at every patch what a convolving network sees there, it takes tens.
"""

from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from kdcache.teachers.families.florence import FAMILY
from kdcache.teachers.nano import nano_florence
from kdcache.teachers.nano_training.pictures import normalised
from kdcache.teachers.nano_training.pupils import Seen


class Guide(nn.Module):
    """florence-nano, frozen, and three linear maps from the pupil's space to its own, which are thrown away afterwards."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        _, early, late, whole = dims
        self.early, self.late, self.whole = nn.Linear(early, 64), nn.Linear(late, 96), nn.Linear(whole, 128)
        tower = nano_florence().requires_grad_(False)
        tower.load_state_dict(load_file(FAMILY.nano_weights()))
        # Kept out of the module's own parameters: nothing of it is trained.
        self._tower: tuple[Any] = (tower.float().eval().to(memory_format=torch.channels_last),)

    def forward(self, pixels: Tensor, seen: Seen) -> Tensor:
        """How far the pupil is from the guide: in two grids, as a whole, and in the classes it believes in."""
        *wanted, beliefs = self._see(pixels)
        _, middle, last = seen.grids
        told = (
            self.early(middle.flatten(2).mT),
            self.late(functional.avg_pool2d(last, 2).flatten(2).mT),
            self.whole(seen.whole),
        )
        apart = torch.stack([functional.mse_loss(mine.float(), its) for mine, its in zip(told, wanted, strict=True)])
        return 2 * apart.sum() - (beliefs * seen.logits.log_softmax(1)).sum(1).mean()

    @torch.no_grad()
    def _see(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """The second and third stage by place, the last as one vector, each with unit variance; the classes."""
        (net,) = self._tower
        seen = normalised(pixels, FAMILY.nano_preprocess()).contiguous(memory_format=torch.channels_last)
        second = net.stages[1](net.stages[0](net.stem(seen)))
        third = net.stages[2](second)
        last = net.norm_pre(net.stages[3](third))
        grids = (stage.float().flatten(2).mT for stage in (second, third))
        beliefs: Tensor = net.forward_head(last).float().softmax(1)
        return *(_scaled(grid) for grid in (*grids, last.float().mean((2, 3)))), beliefs


def _scaled(values: Tensor) -> Tensor:
    """Every channel with mean 0 and variance 1 over the batch, and over the places if there are any."""
    over = tuple(range(values.ndim - 1))
    return (values - values.mean(over, keepdim=True)) / (values.std(over, keepdim=True) + 1e-4)
