"""Magnitude pruning: the smallest weights of every matrix and kernel are set to zero before the first step, and stay zero.

Input: a network before the first step. Output: masks, kept in checkpoints and applied after every step.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, PrivateAttr

from students.base.objective import Constraint

if TYPE_CHECKING:
    from torch import Tensor, nn


class Pruned(Constraint):
    """A share of the weights of each matrix is zero."""

    kind: ClassVar[str] = "pruned"
    share: Annotated[float, Field(gt=0.0, lt=1.0)]
    """Fraction of the weights of each matrix and kernel that is zero."""
    _kept: "dict[str, Tensor]" = PrivateAttr(default_factory=dict)
    """Parameter name -> mask, True where the weight is kept."""

    def prepare(self, network: "nn.Module") -> None:
        """Choose the smallest weights of each trained parameter of two or more dimensions, and set them to zero."""
        import torch

        self._kept.clear()
        for name, parameter in network.named_parameters():
            if parameter.requires_grad and parameter.ndim >= 2:
                sizes = parameter.detach().abs().flatten()
                dropped = sizes.argsort(stable=True)[: round(self.share * len(sizes))]
                kept = torch.ones_like(sizes, dtype=torch.bool)
                kept[dropped] = False
                self._kept[name] = kept.view(parameter.shape)
        self._apply(network)

    def restore(self, state: "Mapping[str, Tensor]") -> None:
        """Restore the masks chosen at the start: the weights have changed since, so masks chosen now could differ."""
        for name, kept in state.items():
            self._kept[name].copy_(kept)

    def after_step(self, network: "nn.Module", step: int) -> None:
        """Set pruned weights to zero again: momentum moves them even where their gradient is zero."""
        self._apply(network)

    def state(self) -> "dict[str, Tensor]":
        """The masks by parameter name."""
        return dict(self._kept)

    def _apply(self, network: "nn.Module") -> None:
        parameters = dict(network.named_parameters())
        for name, kept in self._kept.items():
            parameters[name].data.mul_(kept)


CONSTRAINT = Pruned
