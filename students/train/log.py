"""What is measured while a student learns: losses, rate, and where the time goes. One JSON object a line in metrics.jsonl."""

import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from kdcache.base.atomic import storage_errors, write_file
from kdcache.errors import KDError
from students.base.machine import World
from students.runs.checkpoint import IMAGES, LOSS, State
from students.runs.metrics import LOSSES, lines_of
from students.runs.run import METRICS, Run
from students.train.losses import Losses
from students.train.trackers import Tracker, numbers_of

LAPS = ("waiting", "teacher", "student", "optimiser")
APART = "apart"
"""Name under which time that is not training is counted: validation and checkpoints."""


class Log:
    """Sums up steps and writes them down every so often. Losses stay on the device until then."""

    def __init__(
        self, run: Run, world: World, parts: tuple[str, ...], trackers: Sequence[Tracker] = (), *, timed: bool = False
    ) -> None:
        """`parts`: names of the losses, each with a sum of its own."""
        self._timed = timed and world.device.type == "cuda"
        self._trackers = trackers
        self._file, self._world = run.path / METRICS, world
        self.rate = 0.0
        self.grad: Tensor = torch.zeros(())
        self._parts = parts
        self._clear()

    def _clear(self) -> None:
        self._sums: Tensor = torch.zeros(2 + len(self._parts), dtype=torch.float64)
        self._laps = dict.fromkeys((*LAPS, APART), 0.0)
        self._steps = 0
        self._since = time.perf_counter()
        self._images = 0

    @contextmanager
    def lap(self, name: str) -> Iterator[None]:
        """Time that goes under a name; when timed, with what an accelerator still had to do for it."""
        start = time.perf_counter()
        try:
            yield
        finally:
            if self._timed:
                torch.cuda.synchronize(self._world.device)
            self._laps[name] += time.perf_counter() - start

    def add(self, losses: Losses, good: Tensor) -> None:
        """The losses of a piece, one value a row."""
        rows = [losses.total, *(losses.parts[part] for part in self._parts), torch.ones_like(losses.total)]
        sums = torch.stack([(row.detach() * good).sum() for row in rows]).double()
        self._sums = self._sums.to(sums.device) + sums
        self._images += len(good)

    def step(self) -> None:
        """A step is over."""
        self._steps += 1

    def pending(self) -> dict[str, float]:
        """The sums since the last line, the mean over all processes, for a checkpoint; NaN is never kept."""
        sums: list[float] = self._world.mean(self._sums.clone()).tolist()
        self._refuse(sums[0])
        return dict(zip((LOSS, *self._parts, IMAGES), sums, strict=True))

    def _refuse(self, loss: float) -> None:
        """Raise if the training has diverged, before its weights are saved."""
        if not math.isfinite(loss):
            raise KDError(
                f"the loss is {loss}: the training has diverged",
                hint="lower the rate (--set optimiser.rate=…), or train with --set precision=float32",
            )

    def write(self, state: State, epochs: float) -> str:
        """One line about the steps since the last one -> the few words of it that stand beside the bar."""
        seconds = time.perf_counter() - self._since - self._laps[APART]
        total, *parts, count = self._world.mean(self._sums).tolist()
        images = self._images * self._world.size
        loss = total / max(count, 1)
        line = {
            "kind": "train",
            "step": state.step,
            "epoch": epochs,
            "loss": loss,
            LOSSES: {name: part / max(count, 1) for name, part in zip(self._parts, parts, strict=True)},
            "rate": self.rate,
            "grad": float(self.grad) if math.isfinite(self.grad) else None,
            "images": state.images,
            "seconds": round(state.seconds, 3),
            "images_per_second": round(images / seconds, 1),
            "step_seconds": round(seconds / self._steps, 6),
            **{name: round(self._laps[name] / seconds, 4) for name in LAPS},
        }
        self._refuse(loss)
        self.append(line)
        share = self._laps["waiting"] / seconds
        self._clear()
        return f"loss {loss:.3f} · {share:.1%} waiting"

    def append(self, line: dict[str, Any]) -> None:
        """Write one line; it is in the file when this returns."""
        if self._world.first:
            with storage_errors(self._file), self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, allow_nan=False) + "\n")
            for tracker in self._trackers:
                tracker.tell(numbers_of(line), line["step"])

    def rewind(self, step: int, sums: dict[str, float]) -> None:
        """Forget what was written after a step that is now taken again, and go on with the sums of then."""
        self._sums = torch.tensor([sums[name] for name in (LOSS, *self._parts, IMAGES)], dtype=torch.float64)
        if not self._world.first or not self._file.is_file():
            return
        # A training that had ended tells its end again.
        kept = [line for line, told in lines_of(self._file) if told["step"] <= step and told["kind"] != "end"]
        write_file(self._file, (line + b"\n" for line in kept))
