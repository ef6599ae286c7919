"""The running average of a student's weights, which is often better than the weights themselves."""

import copy

import torch
from torch import nn


class Average:
    """Follows a network: average = decay * average + (1 - decay) * weights; buffers are copied as they are.

    Early on the decay is smaller, (1 + step) / (10 + step): an average over 1,000 steps would be little but the random weights
    a short training began with.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def follow(self, network: nn.Module, step: int) -> None:
        """After a step, the first of which is 0."""
        decay = min(self._decay, (1 + step) / (10 + step))
        mine, theirs = ([p.detach() for p in of.parameters()] for of in (self.network, network))
        torch._foreach_lerp_(mine, theirs, 1 - decay)
        for own, other in zip(self.network.buffers(), network.buffers(), strict=True):
            own.copy_(other)
