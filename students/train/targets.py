"""Sources of training targets: a cache, a live teacher, or class labels only.

All three give the examples of a step in the same order, a pure function of (seed, epoch): off-stream and on-stream differ in
where the signals come from and in nothing else. Only `LiveTeacher` ever imports a teacher.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from kdcache.codecs.distribution import Distribution
from kdcache.signals.shown import Shown
from kdcache.stream import Order, Share, Stream, view_of
from kdcache.stream.batch import Batch
from kdcache.stream.examples import Examples
from kdcache.stream.joined_stream import JoinedBatch, JoinedStream
from students.train.images import Rows, TrainingImages

if TYPE_CHECKING:
    from kdcache.signals.teacher import TeacherSpec
    from kdcache.teachers.batches import Batches

Pixels = NDArray[np.uint8]
Stage = Literal["waiting", "teacher"]

Signals = dict[str, Distribution | torch.Tensor]
"""Signal -> its values for some rows."""


class EpochTargets(Protocol):
    """One epoch of one process."""

    @property
    def view(self) -> int:
        """Number of the view in which all its images are shown."""

    def __len__(self) -> int:
        """Steps of the whole epoch."""

    def examples(self, number: int) -> Rows:
        """This process's examples of a step: rows, or items of rows (kdcache/stream/examples.py)."""

    def signals_of(self, piece: slice, pixels: Pixels | None) -> Signals:
        """The signals of a piece of the step's examples; empty without a teacher. Pieces are asked for in order."""


class TargetSource(Protocol):
    """Where the targets of a training come from; it opens epochs."""

    sees: tuple[int, int] | None
    """Height and width of the views that must be rendered for it; None if it needs no views."""
    stage: Stage
    """Stage under which its time is logged."""
    signals: tuple[str, ...]
    """Names of its signals."""

    def epoch(self, number: int, start: int) -> EpochTargets:
        """Epoch `number` from step `start` on."""


class Streamable(Protocol):
    """A cache, or several that are joined."""

    def stream(
        self,
        batch_size: int,
        *,
        seed: int,
        epoch: int,
        views: Sequence[int] | None,
        signals: Sequence[str] | None,
        rank: int,
        world: int,
        start: int,
        drop_last: bool,
        examples: Examples | None,
    ) -> Stream | JoinedStream:
        """The batches of one epoch for one process; `signals`: their addresses; `examples`: items of rows, None: rows."""


class CachedTargets:
    """Off-stream: signals are read from a cache, or from several of the same images."""

    sees: tuple[int, int] | None = None
    stage: Stage = "waiting"

    def __init__(
        self,
        cache: Streamable,
        *,
        views: Sequence[int] | None,
        seed: int,
        share: Share,
        signals: tuple[str, ...],
        device: str,
        examples: Examples | None = None,
    ) -> None:
        """`examples`: items of rows; None: rows."""
        self._examples = examples
        self._cache, self._views, self._seed, self._share, self._device = cache, views, seed, share, device
        self.signals = signals

    def epoch(self, number: int, start: int) -> "CachedEpochTargets":
        """A stream over one stored view: each is used once before any is used twice."""
        share = self._share
        stream = self._cache.stream(
            share.batch,
            seed=self._seed,
            epoch=number,
            views=self._views,
            signals=self.signals,
            rank=share.rank,
            world=share.world,
            start=start,
            drop_last=share.drop_last,
            examples=self._examples,
        )
        return CachedEpochTargets(stream, bool(self.signals), self._device)


class CachedEpochTargets:
    """An epoch whose signals are read from disk."""

    def __init__(self, stream: Stream | JoinedStream, has_signals: bool, device: str) -> None:
        self._stream, self._has_signals, self._device = stream, has_signals, device
        self._batches: Iterator[Batch | JoinedBatch] = iter(stream)
        self._decoded: dict[str, Distribution | NDArray[np.float32]] = {}

    @property
    def view(self) -> int:
        """The stored view."""
        return self._stream.view

    def __len__(self) -> int:
        return len(self._stream) + self._stream.start

    def examples(self, number: int) -> Rows:
        """Those of the stream."""
        return self._stream.examples(number)

    def signals_of(self, piece: slice, pixels: Pixels | None) -> Signals:
        """The decoded signals. A step is read when its first piece is asked for."""
        if self._has_signals and piece.start == 0:
            self._decoded = next(self._batches).decode()
        return {signal: self._part(values, piece) for signal, values in self._decoded.items()}

    def _part(self, values: Distribution | NDArray[np.float32], piece: slice) -> Distribution | torch.Tensor:
        some = values[piece]
        return torch.tensor(some, device=self._device) if isinstance(some, np.ndarray) else some.to(self._device)


class LabelsOnly:
    """No teacher: the student learns from truths only."""

    sees: tuple[int, int] | None = None
    stage: Stage = "waiting"
    signals: tuple[str, ...] = ()

    def __init__(
        self,
        images: TrainingImages,
        *,
        views: Sequence[int] | None,
        seed: int,
        share: Share,
        rejected: Callable[[int], Rows] | None = None,
        examples: Examples | None = None,
    ) -> None:
        """`rejected`: the rows of a view that cannot be used, if that is known. `examples`: items of rows; None: rows."""
        self._examples: Examples | int = len(images.ids) if examples is None else examples
        self._images, self._views, self._seed, self._share, self._rejected = images, views, seed, share, rejected

    def epoch(self, number: int, start: int) -> "LabelsOnlyEpoch":
        """Rows in the order a cache would give them; without `views`, random views are new in every epoch."""
        fresh = number if self._images.recipe.kind == "augment" else 0
        view = fresh if self._views is None else view_of(number, self._views)
        bad = None if self._rejected is None else self._rejected(view)
        order = Order(self._examples, seed=self._seed, epoch=number, shuffle="full", rejected=bad)
        return LabelsOnlyEpoch(order, replace(self._share, total=len(order)), view)


class LabelsOnlyEpoch:
    """An epoch without a teacher."""

    def __init__(self, order: Order, share: Share, view: int) -> None:
        self._order, self._share, self.view = order, share, view

    def __len__(self) -> int:
        return len(self._share)

    def examples(self, number: int) -> Rows:
        """This process's examples of a step, in the order of the epoch."""
        return self._order.slice(*self._share.span(number))

    def signals_of(self, piece: slice, pixels: Pixels | None) -> Signals:
        """Empty."""
        return {}


class LiveTeacher:
    """On-stream: the teacher runs on the views of every step. Examples and views are those of the cache it would have made."""

    stage: Stage = "teacher"

    def __init__(self, drawn: LabelsOnly, teacher: "TeacherSpec", batches: "Batches") -> None:
        """`batches`: the teacher with the batch size of the plan, because the bits of a row depend on that size."""
        self._drawn, self._batches = drawn, batches
        self.signals = tuple(signal.name for signal in teacher.signals)
        self.sees: tuple[int, int] | None = teacher.preprocess.size

    def epoch(self, number: int, start: int) -> "LiveTeacherEpoch":
        """The same examples, with the signals of the teacher."""
        return LiveTeacherEpoch(self._drawn.epoch(number, start), self._batches)


class LiveTeacherEpoch:
    """An epoch with the teacher in the process."""

    def __init__(self, drawn: LabelsOnlyEpoch, batches: "Batches") -> None:
        self._drawn, self._batches = drawn, batches

    @property
    def view(self) -> int:
        """Number of the view that the teacher is shown."""
        return self._drawn.view

    def __len__(self) -> int:
        return len(self._drawn)

    def examples(self, number: int) -> Rows:
        """This process's examples of a step, in the order of the epoch."""
        return self._drawn.examples(number)

    def signals_of(self, piece: slice, pixels: Pixels | None) -> Signals:
        """Run the teacher on the views of the piece."""
        assert pixels is not None, "a connected teacher is shown its views"
        return dict(self._batches.emit(Shown(torch.from_numpy(pixels))))
