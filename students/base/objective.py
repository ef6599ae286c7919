"""What an objective and a constraint must be able to do: each is a strict record with behaviour, in a file of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field

from kdcache.base.strict import Strict
from students.base.contracts import Needs

if TYPE_CHECKING:
    from torch import Tensor, nn

    from kdcache.signals.signal import Signal


@dataclass(frozen=True)
class Sides:
    """The two sides an objective compares, known before the first step."""

    signals: "Mapping[str, Signal]"
    """The teacher's side: what the cache keeps, or a connected teacher emits."""
    outputs: "Mapping[str, Signal]"
    """The student's side: what its network gives, with the shape of one example. Counted when it is asked for."""
    spec: Any
    """The student's own record: its `name`, and its `classes` where it names any."""
    truths: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    """Truth columns the images have, each with its class names where it is one of classes."""
    classes: tuple[str, ...] | None = None
    """What the teacher's distributions are over; None where it gives none."""
    source: str = ""
    """Where the signals come from, for messages: the path of a cache."""
    images: str = ""
    """The images, for messages."""
    inherits: bool = False
    """Whether the student takes over weights of this teacher, so that its family compares the two networks itself."""
    setting: str = "objective"
    """Where the objective stands in the recipe: `--set SETTING.KEY=VALUE` changes it."""


class ByKind(Strict):
    """A record that says its `kind`, by which the registry knows the class that reads it."""

    kind: ClassVar[str]
    left_out: ClassVar[Mapping[str, Any]] = {}
    """Fields that came later and are not written where they have this value."""

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
    """What its loss is multiplied by in the sum of all objectives."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the losses it gives, in order, each logged by itself."""
        raise NotImplementedError

    def needs(self) -> Needs:
        """Signals, truths and outputs it compares."""
        raise NotImplementedError

    def without_teacher(self) -> "Self | None":
        """The same objective where no teacher is at hand; None where nothing can be learnt from it then."""
        return None if self.needs().signals else self

    def check(self, sides: Sides) -> None:
        """Mismatch, both sides named, where the two cannot be compared. A signal that is needed may be missing."""

    def module(self, sides: Sides) -> "nn.Module | None":
        """Weights of its own, such as a projection: trained beside the student, in checkpoints, in no weights file.

        They are drawn from torch's global generator, which is seeded by the run and the objective's name.
        """
        return None

    def losses(
        self,
        output: "Mapping[str, Any]",
        signals: Mapping[str, Any],
        truths: Mapping[str, Any],
        module: "nn.Module | None" = None,
    ) -> "dict[str, tuple[float, Tensor]]":
        """Each of `parts` -> (its weight, one float32 value an example)."""
        raise NotImplementedError


class Constraint(ByKind):
    """Something held true while training: pruning masks, frozen norms. The methods are called in this order."""

    freezes_norms: ClassVar[bool] = False
    """Whether BatchNorm keeps its statistics: a piece may then be a single image, and processes share none."""

    def prepare(self, network: "nn.Module") -> None:
        """Once for each training, before the optimiser is made. What it keeps of another training is forgotten."""

    def restore(self, state: "Mapping[str, Tensor]") -> None:
        """Take back what `state` gave when the training was stopped: names, shapes and types are those of `state` now."""

    def before_step(self, network: "nn.Module") -> None:
        """Whenever the network has been set to training mode."""

    def after_step(self, network: "nn.Module", step: int) -> None:
        """After the optimiser has moved the weights of step `step`, counted from 0."""

    def state(self) -> "dict[str, Tensor]":
        """What a checkpoint must keep of it."""
        return {}
