"""`spelling`: each word shall be the teacher's."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from kdcache.errors import Mismatch
from kdcache.views.recipe import Fraction
from students.base.contracts import Needs
from students.base.objective import Objective, Sides

if TYPE_CHECKING:
    from torch import Tensor, nn


class Spelling(Objective):
    """Cross-entropy of the student's guesses with the teacher's words, over the words each row has."""

    kind: ClassVar[str] = "spelling"
    smoothing: Fraction = 0.0
    """Fraction of each word's probability that is spread over all words."""

    @property
    def parts(self) -> tuple[str, ...]:
        """One loss."""
        return ("words",)

    def needs(self) -> Needs:
        """The teacher's words and the student's guesses."""
        return Needs(signals=("words",), outputs=("guesses",))

    def check(self, sides: Sides) -> None:
        """As many positions, and as many different words."""
        theirs, ours = sides.signals.get("words"), sides.outputs["guesses"].shape
        if theirs is not None and (*theirs.shape, theirs.vocabulary) != ours:
            raise Mismatch(
                f"words of {sides.source} are {theirs.shape_text()} of {theirs.vocabulary}, "
                f"{sides.spec.name} guesses {ours[0]} of {ours[1]}",
                hint="another --student",
            )

    def losses(
        self,
        output: Mapping[str, Any],
        signals: Mapping[str, Any],
        truths: Mapping[str, Any],
        module: "nn.Module | None" = None,
    ) -> "dict[str, tuple[float, Tensor]]":
        """The mean over the words of a row."""
        from torch.nn import functional

        guesses, words = output["guesses"].float(), signals["words"]
        each = functional.cross_entropy(
            guesses.transpose(1, 2), words.values, reduction="none", label_smoothing=self.smoothing
        )
        there = words.mask()
        return {"words": (1.0, (each * there).sum(1) / there.sum(1).clamp(min=1))}
