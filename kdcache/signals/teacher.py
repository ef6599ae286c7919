"""The records that identify a teacher in a plan; they can be read without importing any teacher."""

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
    """How an image that is not augmented is resized and cropped to that size."""
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class Weights(Strict):
    """The origin and the identity of weights."""

    source: str
    """`package:…`, `file:NAME`, `hub:REPO`, `run:NAME`, `imported:…` or `random:SEED`. A path is reduced to its last name."""
    sha256: str
    settings: str | None = None
    """Digest of the network's settings (activation, heads, epsilon …); None if the program or `sha256` determines them."""
    path: str | None = None
    """Absolute path of a run when it was opened. It is tried first when the run is opened again, and used only if `sha256`
    matches. It is not part of a plan's identity; None if it was not recorded."""

    @property
    def random(self) -> bool:
        """Whether the weights are random, for measuring time and memory only; the plan records this."""
        return self.source.startswith("random:")


class TeacherSpec(Strict):
    """A frozen teacher: its identity, its input, its signals and its precision."""

    family: str
    """Name of its family, as in `kd teacher list`."""
    size: str
    """Size of the teacher (nano, base, huge …), or the name of the model or run."""
    weights: Weights
    head: Weights | None = None
    """A separate classifier head, when the logits come from one (fitted probe, zero-shot text embeddings)."""
    preprocess: Preprocess
    signals: tuple[Signal, ...]
    """All signals that were requested from this teacher, in order."""
    taps: dict[str, str]
    """Signal name -> description of where in the network it is taken."""
    classes: tuple[str, ...] | None = None
    """Class names in the order of the logits; None without logits, or if the names are unknown."""
    precision: str = "float32"
    """Autocast precision: float32, bfloat16 or float16. Softmax is always float32."""
    reads: Annotated[int, Field(ge=1, le=TOKENS)] | None = None
    """Most token ids it is shown with an image, to which every batch is padded; None if it is shown only pixels."""

    @model_serializer(mode="wrap")
    def _leave_out_unused(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Fields that were added later are only written if set, so that earlier plans keep their bytes and identity."""
        return {name: value for name, value in write(self).items() if name != "reads" or value is not None}

    @property
    def has_random_weights(self) -> bool:
        """True when the weights of the teacher or of its head are random."""
        return self.weights.random or (self.head is not None and self.head.random)

    def without_paths(self) -> "TeacherSpec":
        """The record without paths of this machine, to give to others."""
        weights = self.weights.model_copy(update={"path": None})
        head = None if self.head is None else self.head.model_copy(update={"path": None})
        return self.model_copy(update={"weights": weights, "head": head})

    def signal(self, name: str) -> Signal:
        """The signal of that name; KeyError if this teacher does not emit it."""
        return next(s for s in self.signals if s.name == name)
