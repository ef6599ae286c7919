"""`bounded`: no weight leaves an interval around 0."""

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from students.base.objective import Constraint

if TYPE_CHECKING:
    from torch import nn


class Bounded(Constraint):
    """Every weight is cut to the interval after every step."""

    kind: ClassVar[str] = "bounded"
    limit: Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
    """Largest absolute value of a weight."""

    def prepare(self, network: "nn.Module") -> None:
        """From the first step on."""
        for parameter in network.parameters():
            parameter.data.clamp_(-self.limit, self.limit)

    def after_step(self, network: "nn.Module", step: int) -> None:
        """The optimiser may have gone too far."""
        self.prepare(network)
