"""The contracts of objectives and constraints: each is a strict record with methods, in its own file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field

from kdcache.base.strict import Strict
from students.base.contracts import Needs
from students.base.truths import CLASS

if TYPE_CHECKING:
    from torch import Tensor, nn

    from kdcache.signals.signal import Signal


@dataclass(frozen=True)
class Sides:
    """The two sides an objective compares, known before the first step."""

    signals: "Mapping[str, Signal]"
    """Signals of the teacher: what the cache stores, or what a connected teacher emits."""
    outputs: "Mapping[str, Signal]"
    """Outputs of the student's network, with the shape of one example. The shapes are computed at the first lookup."""
    spec: Any
    """Specification of the student: its `name`, and its `classes` if it has any."""
    truths: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    """Truth columns that the training reads, and `class` where the images have it -> class names of a column of classes,
    None for any other column."""
    classes: tuple[str, ...] | None = None
    """Class names that the teacher's distributions are over; None if it emits none."""
    source: str = ""
    """Origin of the signals for messages: the path of a cache."""
    images: str = ""
    """Name of the images for messages."""
    inherits: bool = False
    """Whether the student copies weights from this teacher, so that its family compares the two networks itself."""
    setting: str = "objective"
    """Position of the objective in the recipe: `--set SETTING.KEY=VALUE` changes it."""


class ByKind(Strict):
    """A record whose `kind` tells the registry which class reads it."""

    kind: ClassVar[str]
    left_out: ClassVar[Mapping[str, Any]] = {}
    """Fields added after the first release -> the default at which they are not written."""

    def plain(self) -> dict[str, Any]:
        """The record as plain JSON values, its kind first."""
        plain = super().plain()
        return {
            "kind": self.kind,
            **{k: v for k, v in plain.items() if k not in self.left_out or v != self.left_out[k]},
        }


class Objective(ByKind):
    """One loss. A subclass declares its numbers as fields, a `kind`, and how the loss is computed."""

    left_out: ClassVar[Mapping[str, Any]] = {"weight": 1.0}
    weight: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 1.0
    """Factor of this objective's loss in the sum of all objectives."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of its losses, in order; each is logged separately."""
        raise NotImplementedError

    @property
    def described(self) -> str:
        """What is learnt from, in a few words for a user who did not choose it."""
        return f"{self.kind} ({', '.join(self.parts)})"

    def needs(self) -> Needs:
        """Signals, truths and outputs it compares."""
        raise NotImplementedError

    def without_teacher(self) -> "Self | None":
        """The same objective for training without a teacher; None if nothing can be learnt from it then."""
        return None if self.needs().signals else self

    def without_classes(self) -> "Self | None":
        """The same objective for images without true classes; None if nothing can be learnt from it then."""
        return None if CLASS in self.needs().columns else self

    def check(self, sides: Sides) -> None:
        """Raises Mismatch, naming both sides, if they cannot be compared. A missing signal is refused elsewhere."""

    def module(self, sides: Sides) -> "nn.Module | None":
        """The objective's own weights, such as a projection; None if it has none.

        They are trained with the student and stored in checkpoints, but not in weights files. They are drawn from torch's
        global generator, which is seeded by the run and the objective's name.
        """
        return None

    def losses(
        self,
        output: "Mapping[str, Any]",
        signals: Mapping[str, Any],
        truths: Mapping[str, Any],
        module: "nn.Module | None" = None,
    ) -> "dict[str, tuple[float, Tensor]]":
        """Each of `parts` -> (its weight, one float32 value per example)."""
        raise NotImplementedError


class Constraint(ByKind):
    """A condition enforced during training: pruning masks, frozen norms. The methods are called in this order."""

    freezes_norms: ClassVar[bool] = False
    """Whether BatchNorm keeps its statistics: a piece may then be a single image, and processes need not share statistics."""

    def prepare(self, network: "nn.Module") -> None:
        """Called once for each training, before the optimiser is made; state of an earlier training is dropped."""

    def restore(self, state: "Mapping[str, Tensor]") -> None:
        """Restore what `state` returned when training was stopped; names, shapes and types are those of the present `state`."""

    def before_step(self, network: "nn.Module") -> None:
        """Called whenever the network has been set to training mode."""

    def after_step(self, network: "nn.Module", step: int) -> None:
        """Called after the optimiser has updated the weights in step `step`, counted from 0."""

    def state(self) -> "dict[str, Tensor]":
        """Tensors that checkpoints must store."""
        return {}
