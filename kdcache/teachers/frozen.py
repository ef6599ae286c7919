"""The common implementation of all teachers: frozen modules, normalised pixels, autocast, float32 output.

A family provides a `Tower`: its modules, a description of where each signal is taken, and a function from pixels to signals.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MethodType
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from kdcache.errors import Mismatch, Unavailable, UsageError
from kdcache.networks.pixels import autocast, normalised
from kdcache.signals.padded import Padded
from kdcache.signals.shown import Shown
from kdcache.signals.signal import Kind, Signal
from kdcache.signals.teacher import Preprocess, TeacherSpec, Weights
from kdcache.teachers.heads.classifier import Classifier
from kdcache.teachers.heads.heads import Head
from kdcache.teachers.request import Request


class Output(NamedTuple):
    """The values of one signal of a batch, and its properties that do not follow from name and shape (see `Signal`)."""

    values: Tensor
    """Values, (batch, *shape)."""
    grid: tuple[int, int] | None = None
    """(height, width) of the grid of tokens, if there is one."""
    lengths: Tensor | None = None
    """(batch,) lengths of the rows along their first axis; None if all rows are full."""
    kind: Kind | None = None
    """Kind of its numbers; None: the default for a signal of this name and shape."""
    axes: tuple[str, ...] | None = None
    """Names of its axes; None: the default for its kind."""
    vocabulary: int | None = None
    """Number of different codes, for a signal of kind codes."""

    def signal(self, name: str) -> Signal:
        """The description of the signal."""
        given = {"kind": self.kind, "axes": self.axes, "vocabulary": self.vocabulary}
        shape, lengths = tuple(self.values.shape[1:]), self.lengths is not None
        named = {key: value for key, value in given.items() if value is not None}
        return Signal(name=name, shape=shape, grid=self.grid, lengths=lengths, **named)  # type: ignore[arg-type]

    def copied(self) -> "Output":
        """A copy in its own memory: integers as int64, everything else as float32."""
        dtype = torch.int64 if self.kind == "codes" else torch.float32
        values = torch.empty(self.values.shape, dtype=dtype, device=self.values.device).copy_(self.values)
        return self._replace(values=values, lengths=None if self.lengths is None else self.lengths.clone())


def from_map(values: Tensor) -> Output:
    """Convert a feature map (batch, channels, height, width) to tokens, listed row by row."""
    height, width = values.shape[-2:]
    return Output(values.flatten(2).transpose(1, 2), (height, width))


class Tower(Protocol):
    """The network of a teacher, which its family loads."""

    @property
    def network(self) -> nn.Module:
        """All modules that `emit` runs."""

    @property
    def taps(self) -> dict[str, str]:
        """Name of each signal that it can emit -> description of where it is taken."""

    def emit(self, pixels: Tensor, wanted: frozenset[str]) -> dict[str, Output]:
        """Emit at least the wanted signals for normalised float pixels (batch, 3, height, width)."""


@dataclass(frozen=True)
class Candidate:
    """A loaded teacher that is not frozen yet."""

    tower: Tower
    size: str
    weights: Weights
    preprocess: Preprocess
    classifier: Classifier | None = None
    classes: tuple[str, ...] | None = None
    """Class names of the tower's own logits."""
    hints: Mapping[str, str] = field(default_factory=dict)
    """Hint for each signal that the teacher may be unable to emit, by signal."""
    reads: int | None = None
    """Largest number of token ids it reads with an image; its tower then has
    `emit_with_tokens(pixels, tokens, lengths, wanted)` in place of `emit`. None: it is shown pixels alone.
    """

    @property
    def taps(self) -> dict[str, str]:
        """Name of each signal that it can emit, including its head's -> description of where it is taken."""
        return self.tower.taps | ({"logits": self.classifier.tap} if self.classifier else {})


class FrozenTeacher:
    """The one implementation of `Teacher`."""

    def __init__(self, request: Request, candidate: Candidate) -> None:
        request.check_signals(candidate.taps, candidate.hints)
        self._device = torch.device(request.device)
        self._tower = candidate.tower
        self._head = candidate.classifier.head.to(self._device) if candidate.classifier else None
        self._precision = request.precision
        self._preprocess = candidate.preprocess
        self._names = request.signals
        self._reads = candidate.reads
        self._wanted = frozenset({"embedding"} | set(self._names) - {"logits"} if self._head else self._names)
        freeze(candidate.tower.network.to(self._device))
        self._mean, self._std = (
            torch.tensor(three, device=self._device).view(1, 3, 1, 1)
            for three in (self._preprocess.mean, self._preprocess.std)
        )
        self._spec = _spec(request, candidate, self._measure())

    @property
    def spec(self) -> TeacherSpec:
        """Description of the teacher: weights, preprocessing and signals."""
        return self._spec

    @property
    def network(self) -> nn.Module:
        """The teacher's network, for a student that is initialised from a part of it."""
        return self._tower.network

    def emit(self, shown: Shown) -> dict[str, Any]:
        """Signal name -> (batch, *shape), float32, or int64 for codes; `Padded` if rows differ in length."""
        return {
            name: output.values if output.lengths is None else Padded(output.values, output.lengths)
            for name, output in self._emit(shown).items()
        }

    def _emit(self, shown: Shown) -> dict[str, Output]:
        pixels = shown.pixels
        self._check_tokens(shown)
        height, width = self._preprocess.size
        if pixels.dtype != torch.uint8 or tuple(pixels.shape[1:]) != (height, width, 3):
            raise UsageError(
                f"a teacher with input {height}x{width} was shown {tuple(pixels.shape[1:])} of {pixels.dtype}",
                hint=f"views are uint8, (batch, {height}, {width}, 3)",
            )
        with torch.inference_mode(), exact_kernels(), autocast(self._device, self._precision):
            outputs = self._outputs(normalised(pixels, self._mean, self._std), shown)
        # Float32 copies made outside inference mode, because a student's loss may keep them for its backward pass.
        with torch.no_grad(), exact_kernels():
            copies = {name: outputs[name].copied() for name in self._wanted}
            if self._head is not None:
                copies["logits"] = Output(_through(self._head, copies["embedding"].values))
        return {name: copies[name] for name in self._names}

    def _check_tokens(self, shown: Shown) -> None:
        if (shown.tokens is None) != (self._reads is None):
            reads = "reads token ids and was shown none" if self._reads is not None else "reads no token ids"
            raise UsageError(f"this teacher {reads}", hint="show it Shown(pixels) or Shown(pixels, tokens, lengths)")

    def _outputs(self, pixels: Tensor, shown: Shown) -> dict[str, Output]:
        if shown.tokens is None or shown.lengths is None:
            return self._tower.emit(pixels, self._wanted)
        reading: Any = self._tower
        tokens, lengths = (values.to(self._device) for values in (shown.tokens, shown.lengths))
        found: dict[str, Output] = reading.emit_with_tokens(pixels, tokens, lengths, self._wanted)
        return found

    def _measure(self) -> tuple[Signal, ...]:
        """Find the signals and their shapes by running one black image."""
        black = torch.zeros((1, *self._preprocess.size, 3), dtype=torch.uint8)
        no_tokens = None if self._reads is None else torch.zeros((1, self._reads), dtype=torch.int64)
        outputs = self._emit(Shown(black, no_tokens, None if no_tokens is None else torch.zeros(1, dtype=torch.int64)))
        return tuple(output.signal(name) for name, output in outputs.items())


def check_device(name: str) -> None:
    """Refuse a device that does not work, before anything large is loaded."""
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:  # torch raises AssertionError if it was built without CUDA
        reason = str(error).split("\n", 1)[0]
        raise Unavailable(f"device {name!r} cannot be used: {reason}", hint="use --device cpu") from error


def freeze(network: nn.Module) -> None:
    """Switch off gradients, and keep all modules in eval mode: `train()` has no effect on them."""
    network.eval().requires_grad_(False)
    for module in network.modules():
        module.train = MethodType(_stay, module)  # type: ignore[method-assign]  # of this module, not of its class


def _stay(module: nn.Module, mode: bool = True) -> nn.Module:
    return module


@contextmanager
def exact_kernels() -> Iterator[None]:
    """Use deterministic kernels and full float32: no TF32 and no autotuning, whatever a student has set."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)


def _through(head: Head, embedding: Tensor) -> Tensor:
    if embedding.shape[-1] != head.dim:
        raise Mismatch(f"the head reads embeddings of {head.dim} numbers, but the teacher emits {embedding.shape[-1]}")
    return head(embedding)


def _spec(request: Request, candidate: Candidate, signals: tuple[Signal, ...]) -> TeacherSpec:
    return TeacherSpec(
        family=request.family,
        size=candidate.size,
        weights=candidate.weights,
        head=candidate.classifier.record if candidate.classifier else None,
        preprocess=candidate.preprocess,
        signals=signals,
        taps={name: candidate.taps[name] for name in request.signals},
        classes=_classes(request, candidate, signals),
        precision=request.precision,
        reads=candidate.reads,
    )


def _classes(request: Request, candidate: Candidate, signals: tuple[Signal, ...]) -> tuple[str, ...] | None:
    """Class names of its distribution: the requested ones, else those of the head or the model."""
    logits = next((signal for signal in signals if signal.names_classes), None)
    if logits is None:
        return None
    own = candidate.classifier.head.classes if candidate.classifier else candidate.classes
    names = request.classes or own
    if names is not None and len(names) != logits.size:
        raise UsageError(f"{len(names)} class names for the {logits.size} logits of {request.name}")
    return names
