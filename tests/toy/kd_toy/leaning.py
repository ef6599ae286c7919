"""`leaning`: at every word, the student shall doubt as the teacher does."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from kdcache.errors import Mismatch
from students.base.contracts import Needs
from students.base.objective import Objective, Sides

if TYPE_CHECKING:
    from torch import Tensor, nn


class Leaning(Objective):
    """Cross-entropy of the student's guesses with the teacher's probabilities, over the words each row has."""

    kind: ClassVar[str] = "leaning"

    @property
    def parts(self) -> tuple[str, ...]:
        """One loss."""
        return ("odds",)

    def needs(self) -> Needs:
        """The teacher's odds and the student's guesses."""
        return Needs(signals=("odds",), outputs=("guesses",))

    def check(self, sides: Sides) -> None:
        """As many positions and classes."""
        theirs, ours = sides.signals.get("odds"), sides.outputs["guesses"].shape
        if theirs is not None and theirs.shape != ours:
            raise Mismatch(
                f"odds of {sides.source} are {theirs.shape_text()}, {sides.spec.name} guesses {ours[0]} of {ours[1]}",
                hint="another --student",
            )

    def losses(
        self,
        output: Mapping[str, Any],
        signals: Mapping[str, Any],
        truths: Mapping[str, Any],
        module: "nn.Module | None" = None,
    ) -> "dict[str, tuple[float, Tensor]]":
        """The mean over the words of a row. A connected teacher gives logits, a cache a distribution."""
        from students.objectives.labels import distribution

        odds = signals["odds"]
        likely, there = distribution(odds.values).probabilities(), odds.mask()
        each = -(likely * output["guesses"].float().log_softmax(-1)).sum(-1)
        return {"odds": (1.0, (each * there).sum(1) / there.sum(1).clamp(min=1))}
