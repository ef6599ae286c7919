"""The running average of a student's weights, which is often better than the weights themselves."""

import copy

import torch
from torch import nn


class Average:
    """Follows a network: average = decay * average + (1 - decay) * weights; buffers are copied as they are."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def follow(self, network: nn.Module) -> None:
        """After a step."""
        mine, theirs = ([p.detach() for p in of.parameters()] for of in (self.network, network))
        torch._foreach_lerp_(mine, theirs, 1 - self._decay)
        for own, other in zip(self.network.buffers(), network.buffers(), strict=True):
            own.copy_(other)
