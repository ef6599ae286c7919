"""`answering`: the first letter of the first answer."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from kdcache.errors import Mismatch
from students.base.contracts import Needs
from students.base.objective import Objective, Sides

if TYPE_CHECKING:
    from torch import Tensor, nn

BYTES = 256


class Answering(Objective):
    """Cross-entropy with the first byte of the answer; 0 for a question without answers."""

    kind: ClassVar[str] = "answering"

    @property
    def parts(self) -> tuple[str, ...]:
        """One loss."""
        return ("letter",)

    def needs(self) -> Needs:
        """Each question as an example."""
        return Needs(items=("questions",), outputs=("answers",))

    def check(self, sides: Sides) -> None:
        """An answer is one of all bytes."""
        if (ours := sides.outputs["answers"].shape) != (BYTES,):
            raise Mismatch(f"{sides.spec.name} answers with one of {ours[0]}, not of {BYTES}", hint="another --student")

    def losses(
        self,
        output: Mapping[str, Any],
        signals: Mapping[str, Any],
        truths: Mapping[str, Any],
        module: "nn.Module | None" = None,
    ) -> "dict[str, tuple[float, Tensor]]":
        """One value a question."""
        import torch
        from torch.nn import functional

        answers = output["answers"].float()
        wanted = [[*"".join(each.answers[:1]).encode(), -1][0] for each in truths["questions"]]
        targets = torch.tensor(wanted, device=answers.device)
        return {"letter": (1.0, functional.cross_entropy(answers, targets, ignore_index=-1, reduction="none"))}
