"""The arguments of `open_teacher`, checked here for all families."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from kdcache.errors import UsageError
from kdcache.signals.teacher import Preprocess, Weights

PRECISIONS = ("float32", "bfloat16", "float16")
Triple = tuple[float, float, float]
# torchvision's and timm's constants of these names; timm calls `half` inception.
NORMALISATIONS: dict[str, tuple[Triple, Triple]] = {
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
}


@dataclass(frozen=True)
class Request:
    """The request for a teacher. None means the publisher's default."""

    family: str
    model: str | None
    """Part after the colon in `timm:NAME` and `hf:NAME`."""
    size: str | None
    weights: str | None
    head: str | None
    signals: tuple[str, ...]
    precision: str
    device: str
    input_size: tuple[int, int] | None
    classes: tuple[str, ...] | None
    """Class names that the user gives for the logits; they must match the teacher's."""
    offered: tuple[str, ...] | None
    """Class names for teachers that have none of their own, such as those of the images."""
    templates: str | tuple[str, ...] | None
    normalise: str | tuple[Triple, Triple] | None
    planned: Preprocess | None = None
    """Preprocessing recorded in the plan of a cache; it overrides everything else."""
    planned_weights: Weights | None = None
    """Weights recorded in a plan, when its teacher is opened again; the family searches for them."""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise UsageError(f"unknown precision {self.precision!r}", hint=f"one of {', '.join(PRECISIONS)}")
        if not self.signals:
            raise UsageError("no signal was requested", hint="name at least one, such as embedding")
        if len(set(self.signals)) < len(self.signals):
            raise UsageError(f"a signal is requested twice: {', '.join(self.signals)}")
        if isinstance(self.normalise, str) and self.normalise not in NORMALISATIONS:
            raise UsageError(f"unknown normalisation {self.normalise!r}", hint=f"one of {', '.join(NORMALISATIONS)}")

    @property
    def name(self) -> str:
        """The name of this teacher as users write it."""
        return f"{self.family}:{self.model}" if self.model else self.family

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Class names for a teacher that can classify into any classes."""
        return self.classes if self.classes is not None else self.offered

    @property
    def random(self) -> bool:
        """Whether random weights are requested: time and memory are realistic, but the signals are meaningless."""
        return self.weights == "random"

    @property
    def title(self) -> str:
        """The name with its size: florence-base."""
        return f"{self.name}-{self.size}" if self.size else self.name

    def check_signals(self, can: Iterable[str], hints: Mapping[str, str]) -> None:
        """Refuse signals the teacher cannot emit, listing those it can."""
        can = list(can)
        for signal in self.signals:
            if signal not in can:
                also = [] if "logits" in (*can, signal) else ["logits where it has classes"]
                near = get_close_matches(signal, (*can, "logits"), n=1)
                meant = f"did you mean {near[0]}?" if near and near[0] != signal else None
                raise UsageError(
                    f"{self.title} cannot emit {signal!r}; it can emit {', '.join([*can, *also])}",
                    hint=hints.get(signal, meant),
                )

    def prepared(self, published: Callable[[], Preprocess]) -> Preprocess:
        """The preprocessing of the plan, else the published one with the requested input size and normalisation.

        The published one is read only without a plan, because a cache must work even after its processor file is gone.
        """
        if self.planned is not None:
            return self.planned
        return self._adjusted(published())

    def _adjusted(self, published: Preprocess) -> Preprocess:
        changes: dict[str, object] = {}
        if self.input_size is not None:
            changes["size"] = self.input_size
        if self.normalise is not None:
            pair = NORMALISATIONS[self.normalise] if isinstance(self.normalise, str) else self.normalise
            changes["mean"], changes["std"] = pair
        return published.model_copy(update=changes)
