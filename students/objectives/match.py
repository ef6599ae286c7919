"""Dense targets: the student's layers are averaged in the same way as the teacher's, and trained to match the result.

Input: the student's `layers`, the FFN output of each of its blocks, each (examples, 1 + patches, channels); and the teacher's
signal. Output: one loss per example. Unlike a hint, there is no trained layer in between.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator

from kdcache.errors import Mismatch
from students.base.contracts import Needs
from students.base.objective import Objective, Sides
from students.base.types import Address

if TYPE_CHECKING:
    from torch import Tensor, nn

TARGETS, CLASS_TOKENS = "targets", "cls-layers"
LAYERS = "layers"


def _kind_of(address: str) -> str:
    """The signal itself, whichever cache it is in: `targets` for `one.targets`."""
    return address.rpartition(".")[2]


def _dense(address: str) -> str:
    if _kind_of(address) not in (TARGETS, CLASS_TOKENS):
        raise ValueError(f"should be {TARGETS} or {CLASS_TOKENS}, of one of several caches NAME.{TARGETS}")
    return address


Dense = Annotated[Address, AfterValidator(_dense)]


class Match(Objective):
    """Matches the dense targets of a data2vec teacher."""

    kind: ClassVar[str] = "match"
    signal: Dense
    """Teacher's signal to match: `targets`, all tokens of the mean of its last layers, or `cls-layers`, the class
    token of each layer; of one of several caches NAME.`targets`."""
    loss: Literal["mse", "cosine"]
    """Distance: the mean squared error over tokens and channels, or 1 - cosine, the mean over tokens."""

    @property
    def parts(self) -> tuple[str, ...]:
        """One loss, named after the distance."""
        return (self.loss,)

    @property
    def described(self) -> str:
        """`targets of the teacher`."""
        return f"{self.signal} of the teacher"

    def needs(self) -> Needs:
        """The teacher's signal, and the student's layers."""
        return Needs(signals=(self.signal,), outputs=(LAYERS,))

    def check(self, sides: Sides) -> None:
        """Raises Mismatch unless tokens and channels agree, and, for class tokens, the student has no more layers."""
        theirs, ours = sides.signals.get(self.signal), sides.outputs[LAYERS].shape
        other = next((name for name in sides.signals if _kind_of(name) in (TARGETS, CLASS_TOKENS)), None)
        if theirs is None:
            if other is not None:
                kept = ", ".join(sides.signals)
                raise Mismatch(
                    f"{sides.source} keeps {kept}, but the recipe matches {self.signal}",
                    hint=f"--set {sides.setting}.signal={other}",
                )
            return
        of_class_tokens = _kind_of(self.signal) == CLASS_TOKENS
        if of_class_tokens and theirs.shape[0] < ours[0]:
            raise Mismatch(
                f"{sides.spec.name} has {ours[0]} blocks, {self.signal} of {sides.source} have {theirs.shape[0]} layers",
                hint=f"a student of fewer blocks, or --set {sides.setting}.signal={TARGETS}",
            )
        wanted = theirs.shape[1:] if of_class_tokens else theirs.shape
        found = ours[2:] if of_class_tokens else ours[1:]
        if wanted != found and not sides.inherits:
            raise Mismatch(
                f"{self.signal} of {sides.source} are {_text(wanted)} a layer, the layers of {sides.spec.name} {_text(found)}",
                hint="choose a student that is made for this teacher (kd student list)",
            )

    def losses(
        self,
        output: Mapping[str, Any],
        signals: Mapping[str, Any],
        truths: Mapping[str, Any],
        module: "nn.Module | None" = None,
    ) -> "dict[str, tuple[float, Tensor]]":
        """Distance between the student's targets and the teacher's, always in float32."""
        from kdcache.networks.data2vec import targets

        layers, wanted = output[LAYERS], signals[self.signal].float()
        if _kind_of(self.signal) == CLASS_TOKENS:
            ours = class_tokens(layers)
            wanted = wanted[:, -len(layers) :]  # the teacher has more layers: the last of them are matched
        else:
            ours = targets(layers, len(layers))
        return {self.loss: (1.0, squared(ours, wanted) if self.loss == "mse" else turned(ours, wanted))}


def class_tokens(layers: "Sequence[Tensor]") -> "Tensor":
    """The class token of each layer, float32: (examples, layers, channels)."""
    import torch

    return torch.stack([layer[:, 0] for layer in layers], 1).float()


def squared(ours: "Tensor", wanted: "Tensor") -> "Tensor":
    """Mean squared error of each example, over all tokens and channels."""
    from torch.nn import functional

    return functional.mse_loss(ours, wanted, reduction="none").mean((1, 2))


def turned(ours: "Tensor", wanted: "Tensor") -> "Tensor":
    """1 - cosine of each example, the mean over all tokens."""
    from torch.nn import functional

    return 1 - functional.cosine_similarity(ours, wanted, dim=2).mean(1)


def _text(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


OBJECTIVE = Match
