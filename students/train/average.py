"""The running average of a student's weights, which is often better than the weights themselves."""

import copy

import torch
from torch import nn


class Average:
    """Follows a network: average = decay * average + (1 - decay) * weights; buffers are copied unchanged.

    In early steps the decay is smaller, (1 + step) / (10 + step): with a fixed decay the average of a short training would mostly
    consist of the initial random weights.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def follow(self, network: nn.Module, step: int) -> None:
        """Update the average after a step; steps are counted from 0."""
        decay = min(self._decay, (1 + step) / (10 + step))
        mine, theirs = ([p.detach() for p in of.parameters()] for of in (self.network, network))
        torch._foreach_lerp_(mine, theirs, 1 - decay)
        for own, other in zip(self.network.buffers(), network.buffers(), strict=True):
            own.copy_(other)
