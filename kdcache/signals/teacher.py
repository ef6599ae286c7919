"""What identifies a teacher: the part of it that goes into a plan, readable without importing any teacher."""

from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from kdcache.base.limits import TOKENS
from kdcache.base.strict import Strict
from kdcache.signals.signal import Signal
from kdcache.views.recipe import Plain


class Preprocess(Strict):
    """How pixels are prepared for a teacher: geometry first, then (pixel / 255 - mean) / std."""

    size: tuple[int, int]
    """(height, width) of the teacher's input, in pixels."""
    geometry: Plain
    """How an image gets to that size when it is not augmented."""
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class Weights(Strict):
    """Where weights came from and which they are."""

    source: str
    """`package:…`, `file:NAME`, `hub:REPO`, `run:NAME`, `imported:…` or `random:SEED`. Never a path beyond the last name."""
    sha256: str
    settings: str | None = None
    """Digest of the configuration they ran under (activation, heads, epsilon …); None where the program or `sha256` fixes it."""
    path: str | None = None
    """Where a run lay when it was opened, an absolute path: looked at first when it is opened again, believed only with the right
    `sha256`. No part of a plan's identity; None where nobody kept it."""

    @property
    def random(self) -> bool:
        """Random weights are for measuring time and memory only; the stamp stays in the plan."""
        return self.source.startswith("random:")


class TeacherSpec(Strict):
    """A frozen teacher: who it is, what it sees, what it can say, in which precision."""

    family: str
    """Name of its family, as `kd teacher list` has it."""
    size: str
    """Size of the teacher (nano, base, huge …), or the name of the model or run."""
    weights: Weights
    head: Weights | None = None
    """A separate classifier head, when the logits come from one (fitted probe, zero-shot text embeddings)."""
    preprocess: Preprocess
    signals: tuple[Signal, ...]
    """Everything this teacher was asked to say, in order."""
    taps: dict[str, str]
    """Signal name -> where it is tapped, in words a reader can check."""
    classes: tuple[str, ...] | None = None
    """Class names in the order of the logits, when it says logits and the names are known."""
    precision: str = "float32"
    """Autocast precision: float32, bfloat16 or float16. Softmax is always float32."""
    reads: Annotated[int, Field(ge=1, le=TOKENS)] | None = None
    """Most token ids it is shown beside the pixels of an image; None for pixels alone. Every batch is padded to so many."""

    @model_serializer(mode="wrap")
    def _as_ever(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What came later is written where it says something, so that plans of before keep their bytes and identity."""
        return {name: value for name, value in write(self).items() if name != "reads" or value is not None}

    @property
    def has_random_weights(self) -> bool:
        """True when the weights of the teacher or of its head are random."""
        return self.weights.random or (self.head is not None and self.head.random)

    def without_paths(self) -> "TeacherSpec":
        """The same, for others: nothing of where its files lie on this machine."""
        weights = self.weights.model_copy(update={"path": None})
        head = None if self.head is None else self.head.model_copy(update={"path": None})
        return self.model_copy(update={"weights": weights, "head": head})

    def signal(self, name: str) -> Signal:
        """The signal of that name; KeyError when this teacher does not say it."""
        return next(s for s in self.signals if s.name == name)
