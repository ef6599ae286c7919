"""Everything all teachers share: frozen modules, normalised pixels, autocast, float32 out.

A family brings a `Tower`: its modules, where each of its signals is tapped, and how normalised pixels become signals.
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
from kdcache.signals.shown import Shown
from kdcache.signals.signal import Signal
from kdcache.signals.teacher import Preprocess, TeacherSpec, Weights
from kdcache.teachers.heads.classifier import Classifier
from kdcache.teachers.heads.heads import Head
from kdcache.teachers.request import Request


class Output(NamedTuple):
    """What a tower said under one name; `grid` when the tokens lie on one."""

    values: Tensor
    grid: tuple[int, int] | None = None


def from_map(values: Tensor) -> Output:
    """A feature map (batch, channels, height, width) as tokens, rows of the grid first."""
    height, width = values.shape[-2:]
    return Output(values.flatten(2).transpose(1, 2), (height, width))


class Tower(Protocol):
    """What a family brings."""

    @property
    def network(self) -> nn.Module:
        """All modules that `speak` runs."""

    @property
    def taps(self) -> dict[str, str]:
        """Every signal it can say -> where that is tapped, in words."""

    def speak(self, pixels: Tensor, wanted: frozenset[str]) -> dict[str, Output]:
        """Normalised float pixels (batch, 3, height, width) -> at least the wanted signals."""


@dataclass(frozen=True)
class Candidate:
    """A loaded teacher, before it is frozen."""

    tower: Tower
    size: str
    weights: Weights
    preprocess: Preprocess
    classifier: Classifier | None = None
    classes: tuple[str, ...] | None = None
    """names of the tower's own logits"""
    hints: Mapping[str, str] = field(default_factory=dict)
    """signal it may not be able to say -> the way out"""
    reads: int | None = None
    """Most token ids it reads beside an image; its tower then has `speak_of(pixels, tokens, lengths, wanted)` in place of
    `speak`. None: it is shown pixels alone."""

    @property
    def taps(self) -> dict[str, str]:
        """Every signal it can say, with its head -> where that is tapped."""
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
        """Who it is and what it says."""
        return self._spec

    @property
    def network(self) -> nn.Module:
        """What speaks, for a student that begins with a part of it."""
        return self._tower.network

    def emit(self, shown: Shown) -> dict[str, Tensor]:
        """Signal name -> float32 (batch, *shape)."""
        return {name: said.values for name, said in self._emit(shown).items()}

    def _emit(self, shown: Shown) -> dict[str, Output]:
        pixels = shown.pixels
        self._check_tokens(shown)
        height, width = self._preprocess.size
        if pixels.dtype != torch.uint8 or tuple(pixels.shape[1:]) != (height, width, 3):
            raise UsageError(
                f"a teacher that sees {height}x{width} was shown {tuple(pixels.shape[1:])} of {pixels.dtype}",
                hint=f"views are uint8, (batch, {height}, {width}, 3)",
            )
        with torch.inference_mode(), exact_kernels(), autocast(self._device, self._precision):
            said = self._speak(normalised(pixels, self._mean, self._std), shown)
        # Plain float32 copies, made outside inference mode: a student's loss may keep them for its backward pass.
        with torch.no_grad(), exact_kernels():
            copies = {name: Output(_float32(said[name].values), said[name].grid) for name in self._wanted}
            if self._head is not None:
                copies["logits"] = Output(_through(self._head, copies["embedding"].values))
        return {name: copies[name] for name in self._names}

    def _check_tokens(self, shown: Shown) -> None:
        if (shown.tokens is None) != (self._reads is None):
            reads = "reads token ids and was shown none" if self._reads is not None else "reads no token ids"
            raise UsageError(f"this teacher {reads}", hint="show it Shown(pixels) or Shown(pixels, tokens, lengths)")

    def _speak(self, pixels: Tensor, shown: Shown) -> dict[str, Output]:
        if shown.tokens is None or shown.lengths is None:
            return self._tower.speak(pixels, self._wanted)
        reading: Any = self._tower
        tokens, lengths = (values.to(self._device) for values in (shown.tokens, shown.lengths))
        found: dict[str, Output] = reading.speak_of(pixels, tokens, lengths, self._wanted)
        return found

    def _measure(self) -> tuple[Signal, ...]:
        """The signals and their shapes, from one black image."""
        black = torch.zeros((1, *self._preprocess.size, 3), dtype=torch.uint8)
        no_tokens = None if self._reads is None else torch.zeros((1, self._reads), dtype=torch.int64)
        said = self._emit(Shown(black, no_tokens, None if no_tokens is None else torch.zeros(1, dtype=torch.int64)))
        return tuple(Signal(name=n, shape=tuple(s.values.shape[1:]), grid=s.grid) for n, s in said.items())


def check_device(name: str) -> None:
    """Refuse a device that does not work, before anything large is loaded."""
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with CUDA
        reason = str(error).split("\n", 1)[0]
        raise Unavailable(f"device {name!r} cannot be used: {reason}", hint="use --device cpu") from error


def freeze(network: nn.Module) -> None:
    """No gradients, eval mode, and no way back into training mode: `train()` does nothing on any module."""
    network.eval().requires_grad_(False)
    for module in network.modules():
        module.train = MethodType(_stay, module)  # type: ignore[method-assign]  # of this module, not of its class


def _stay(module: nn.Module, mode: bool = True) -> nn.Module:
    return module


@contextmanager
def exact_kernels() -> Iterator[None]:
    """The same kernels every time, and float32 that is float32: no TF32, no autotuning, whatever a student has set."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)


def _through(head: Head, embedding: Tensor) -> Tensor:
    if embedding.shape[-1] != head.dim:
        raise Mismatch(f"the head reads embeddings of {head.dim} numbers, the teacher emits {embedding.shape[-1]}")
    return head(embedding)


def _float32(values: Tensor) -> Tensor:
    return torch.empty(values.shape, dtype=torch.float32, device=values.device).copy_(values)


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
    """Names of the logits: those asked for, else those the head or the model brings."""
    logits = next((s for s in signals if s.name == "logits"), None)
    if logits is None:
        return None
    own = candidate.classifier.head.classes if candidate.classifier else candidate.classes
    names = request.classes or own
    if names is not None and len(names) != logits.size:
        raise UsageError(f"{len(names)} class names for the {logits.size} logits of {request.name}")
    return names
