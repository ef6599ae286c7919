"""Trains one module of a network and keeps everything else bit for bit, as for a new classifier on a frozen base."""

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from kdcache.errors import Mismatch
from students.base.objective import Constraint

if TYPE_CHECKING:
    from torch import nn


class Frozen(Constraint):
    """All parameters and statistics outside one module keep the values they start with."""

    kind: ClassVar[str] = "frozen"
    freezes_norms: ClassVar[bool] = True
    trained: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$", max_length=200)]
    """Name of the module that is trained, such as `head.fc`."""

    def prepare(self, network: "nn.Module") -> None:
        """Switch off gradients outside the module."""
        inside = f"{self.trained}."
        names = [name for name, _ in network.named_parameters()]
        if not any(name.startswith(inside) for name in names):
            raise Mismatch(
                f"the constraint `frozen` trains only {self.trained}, but the network has no parameters there",
                hint=f"name a module of the network, such as {names[-1].rpartition('.')[0]}" if names else None,
            )
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(name.startswith(inside))

    def before_step(self, network: "nn.Module") -> None:
        """Put everything outside the module into evaluation mode: statistics stay, and no layer is dropped at random."""
        network.eval()
        network.get_submodule(self.trained).train()


CONSTRAINT = Frozen
