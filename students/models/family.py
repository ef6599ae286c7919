"""What a family of students must know: the shape of its windows, its layers, and the names that others gave its tensors."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from students.models.spec import StudentSpec

if TYPE_CHECKING:
    from torch import nn

Tensors = dict[str, Any]
"""by name; torch's, but torch is not needed to speak of them"""


class Family(Protocol):
    """One builder and what belongs to it."""

    head: str
    """the classifier; its tensors are HEAD.weight and HEAD.bias, a row each class"""

    def windows(self, size: int) -> tuple[int, ...]:
        """Side of the attention windows for an input of this size; UsageError when it cannot see that size."""

    def build(self, spec: StudentSpec) -> "nn.Module":
        """The network with random weights from torch's global generator."""

    def own_names(self, tensors: Mapping[str, Any]) -> tuple[Tensors, str]:
        """Tensors under the names of `build`, and the layout they came in."""

    def fitted(self, tensors: Tensors, network: "nn.Module") -> tuple[Tensors, tuple[str, ...]]:
        """Tensors in the shapes of this network where that is a matter of its input size; the names of those that changed."""

    def layers(self, network: "nn.Module") -> int:
        """How many layers there are."""

    def layer(self, name: str, network: "nn.Module") -> int:
        """The layer a parameter belongs to: 0 at the input."""
