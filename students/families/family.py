"""What a family of students must know: the shape of its windows, its layers, and the names that others gave its tensors."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from kdcache.signals.teacher import TeacherSpec
from students.families.spec import StudentSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

Tensors = dict[str, Any]
"""by name; torch's, but torch is not needed to speak of them"""


class Family(Protocol):
    """One builder and what belongs to it."""

    head: str | None
    """the classifier; its tensors are HEAD.weight and HEAD.bias, a row each class; None: it has none"""

    def windows(self, size: int) -> tuple[int, ...]:
        """Side of the attention windows for an input of this size; UsageError when it cannot see that size."""

    def build(self, spec: StudentSpec) -> "nn.Module":
        """The network with random weights from torch's global generator."""

    def begin(self, network: "nn.Module", spec: StudentSpec, teacher: TeacherSpec, weights: str | None) -> None:
        """Fill what a new student shares with its teacher, whose file may lie at `weights` now."""

    def check_shared(self, network: "nn.Module", spec: StudentSpec, teacher: TeacherSpec, weights: str | None) -> None:
        """Mismatch when a student that has learnt already shares something with another teacher than this."""

    def embed(self, network: Any, pixels: "Tensor") -> "Tensor":
        """Normalised pixels -> one embedding an image."""

    def own_names(self, tensors: Mapping[str, Any]) -> tuple[Tensors, str]:
        """Tensors under the names of `build`, and the layout they came in."""

    def fitted(self, tensors: Tensors, network: "nn.Module") -> tuple[Tensors, tuple[str, ...]]:
        """Tensors in the shapes of this network where that is a matter of its input size; the names of those that changed."""

    def layers(self, network: "nn.Module") -> int:
        """How many layers there are."""

    def layer(self, name: str, network: "nn.Module") -> int:
        """The layer a parameter belongs to: 0 at the input."""
