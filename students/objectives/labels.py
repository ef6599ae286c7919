"""Class labels: cross-entropy with the teacher's distribution (soft), with the true class (hard), or with both.

Input: the student's logits, the teacher's `logits` (top-k, or all of them) and the truth `class`. Output: one loss per example
and part. Top-k is never expanded to all classes: at 21,841 of them that would be the largest array of the step.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from kdcache.codecs.distribution import Distribution, Logits, Tail, TopK
from kdcache.errors import Mismatch
from kdcache.views.recipe import Amount, Fraction
from students.base.class_names import first_difference
from students.base.contracts import Needs
from students.base.objective import Objective, Sides
from students.base.truths import CLASS, ClassTruth
from students.base.types import LOGITS, Address

if TYPE_CHECKING:
    from torch import Tensor, nn

UNKNOWN = -1
"""Class number of an example whose class is unknown; its loss is 0."""


class Labels(Objective):
    """Matches the teacher's distribution over classes, the true class, or both."""

    kind: ClassVar[str] = "labels"
    left_out: ClassVar[Mapping[str, Any]] = {**Objective.left_out, "signal": LOGITS}
    signal: Address = LOGITS
    """The teacher's distribution over classes; of one of several caches NAME.`logits`."""
    soft: Amount = 1.0
    """Weight of the cross-entropy with the teacher's distribution."""
    hard: Amount = 0.0
    """Weight of the cross-entropy with the true class."""
    temperature: Annotated[float, Field(ge=1.0, allow_inf_nan=False)] = 1.0
    """Temperature of both distributions in the soft part, whose loss is multiplied by its square to keep the
    gradients' scale."""
    tail: Tail = "uniform"
    """How the probability outside the stored classes is distributed."""
    smoothing: Fraction = 0.0
    """Fraction of the true class's probability that is spread over all classes."""

    @model_validator(mode="after")
    def _has_a_part(self) -> Self:
        if self.soft == 0 and self.hard == 0:
            raise ValueError("soft and hard are both 0: nothing would be learnt")
        return self

    @property
    def parts(self) -> tuple[str, ...]:
        """`soft`, `hard`, or both."""
        return tuple(part for part in ("soft", "hard") if getattr(self, part))

    @property
    def described(self) -> str:
        """`soft labels at temperature 2 and true classes, 0.7:0.3`."""
        softened = "" if self.temperature == 1 else f" at temperature {self.temperature:g}"
        names = {"soft": f"soft labels{softened}", "hard": "true classes"}
        shares = ":".join(f"{getattr(self, part):g}" for part in self.parts)
        return " and ".join(names[part] for part in self.parts) + (f", {shares}" if len(self.parts) > 1 else "")

    def needs(self) -> Needs:
        """The student's logits; the teacher's logits for the soft part, and true classes for the hard part."""
        soft, hard = (self.signal,) if self.soft else (), (CLASS,) if self.hard else ()
        return Needs(signals=soft, truths=hard, outputs=(LOGITS,), classes=True)

    def without_teacher(self) -> "Labels":
        """True classes only; at full weight if they had weight 0."""
        return self.model_copy(update={"soft": 0.0, "hard": self.hard or 1.0}) if self.soft else self

    def without_classes(self) -> "Labels | None":
        """Soft labels only; None if it has none."""
        return (self.model_copy(update={"hard": 0.0}) if self.soft else None) if self.hard else self

    def check(self, sides: Sides) -> None:
        """Raises Mismatch unless teacher, images and student have the same classes."""
        ours = tuple(sides.spec.classes)
        if self.soft and self.signal in sides.signals:
            self._check_teacher(sides, ours)
        if self.hard:
            self._check_truth(sides, ours)

    def _check_teacher(self, sides: Sides, ours: tuple[str, ...]) -> None:
        signal, theirs = sides.signals[self.signal], sides.classes or ()
        if not signal.names_classes:
            raise Mismatch(
                f"{self.signal} of {sides.source} is a {signal.kind} over {', '.join(signal.axes)}, not over classes",
                hint=f"--set {sides.setting}.signal={LOGITS}",
            )
        if theirs != ours:
            raise Mismatch(
                f"{sides.source} has logits of {len(theirs):,} classes, which are not the student's {len(ours):,} classes",
                hint="train a new student from this cache, or build a cache with the student's classes",
            )

    def _check_truth(self, sides: Sides, ours: tuple[str, ...]) -> None:
        theirs = sides.truths.get(CLASS)
        alone = f"train on soft labels alone (--set {sides.setting}.hard=0)"
        if theirs is None:
            raise Mismatch(
                f"the recipe needs true classes, but the images of {sides.images} have no labels",
                hint=f"put them into one folder per class, or {alone}",
            )
        if theirs == ours:
            return
        one, other = first_difference(theirs, ours)
        way = "or use a teacher of these classes"
        if set(theirs) == set(ours):
            way = (
                "or, as they are the same in another order, fit the head again (kd teacher fit-head) and build with it"
            )
        raise Mismatch(
            f"the images of {sides.images} have {len(theirs):,} classes, the student has {len(ours):,}; "
            f"the first that differs: {one!r} and {other!r}",
            hint=f"{alone}, {way}",
        )

    def losses(
        self,
        output: Mapping[str, Any],
        signals: Mapping[str, Any],
        truths: Mapping[str, Any],
        module: "nn.Module | None" = None,
    ) -> "dict[str, tuple[float, Tensor]]":
        """Cross-entropies, always in float32."""
        logits, losses = output[LOGITS].float(), {}
        if self.soft:
            losses["soft"] = (
                self.soft,
                soft_loss(logits, distribution(signals[self.signal]), self.temperature, self.tail),
            )
        if self.hard:
            losses["hard"] = (self.hard, hard_loss(logits, truths[CLASS], self.smoothing))
        return losses


def distribution(logits: Any) -> Distribution:
    """Logits as a distribution: a cache gives one already, a connected teacher gives a plain tensor."""
    return logits if isinstance(logits, Distribution) else Logits(logits)


def soft_loss(logits: "Tensor", teacher: Distribution, temperature: float = 1.0, tail: Tail = "uniform") -> "Tensor":
    """Cross-entropy with the teacher's distribution, both softened by the temperature, times its square."""
    logq = (logits / temperature).log_softmax(-1)
    if isinstance(teacher, TopK):
        loss = _sparse(logq, teacher, temperature, tail)
    else:
        loss = -(teacher.probabilities(temperature) * logq).sum(-1)
    return loss * temperature**2


def _sparse(logq: "Tensor", teacher: TopK, temperature: float, tail: Tail) -> "Tensor":
    ids, p, rest = teacher.sparse(temperature, tail)
    listed = logq.gather(1, ids)
    loss: Tensor = -(p * listed).sum(-1)
    if ids.shape[1] == teacher.classes:
        return loss
    if tail == "uniform":
        loss = loss - rest * (logq.sum(-1) - listed.sum(-1))
    if tail == "bucket":
        loss = loss - rest * logq.scatter(1, ids, float("-inf")).logsumexp(-1)
    return loss


def hard_loss(logits: "Tensor", truth: ClassTruth, smoothing: float) -> "Tensor":
    """Cross-entropy with the true class, for mixed images weighted like the mix; 0 for rows of unknown class."""
    from torch.nn import functional

    first, second = (
        functional.cross_entropy(logits, labels, ignore_index=UNKNOWN, label_smoothing=smoothing, reduction="none")
        for labels in (truth.first, truth.second)
    )
    return truth.share * first + (1 - truth.share) * second


OBJECTIVE = Labels
