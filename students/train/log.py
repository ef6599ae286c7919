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
from students.runs.checkpoint import SUMS, State
from students.runs.metrics import lines_of
from students.runs.run import METRICS, Run
from students.train.trackers import Tracker, numbers_of

LAPS = ("waiting", "teacher", "student", "optimiser")
APART = "apart"
"""time that is not training: judging, keeping checkpoints"""


class Log:
    """Sums up steps and writes them down every so often. Losses stay on the device until then."""

    def __init__(self, run: Run, world: World, trackers: Sequence[Tracker] = (), *, timed: bool = False) -> None:
        self._timed = timed and world.device.type == "cuda"
        self._trackers = trackers
        self._file, self._world = run.path / METRICS, world
        self.rate = 0.0
        self.grad: Tensor = torch.zeros(())
        self._parts = (False, False)
        self._clear()

    def _clear(self) -> None:
        self._sums: Tensor = torch.zeros(SUMS, dtype=torch.float64)
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

    def add(self, total: Tensor, soft: Tensor | None, hard: Tensor | None, good: Tensor) -> None:
        """The losses of a piece, one a row."""
        zero = torch.zeros_like(total)
        rows = [total, zero if soft is None else soft, zero if hard is None else hard, zero + 1]
        sums = torch.stack([(row.detach() * good).sum() for row in rows]).double()
        self._sums = self._sums.to(sums.device) + sums
        self._parts = (soft is not None, hard is not None)
        self._images += len(good)

    def step(self) -> None:
        """A step is over."""
        self._steps += 1

    def pending(self) -> list[float]:
        """The sums since the last line, the mean over all processes, for a checkpoint; NaN is never kept."""
        sums: list[float] = self._world.mean(self._sums.clone()).tolist()
        self._refuse(sums[0])
        return sums

    def _refuse(self, loss: float) -> None:
        """Stop a training that has come to nothing, before its weights are kept."""
        if not math.isfinite(loss):
            raise KDError(
                f"the loss is {loss}: the training has come to nothing",
                hint="lower the rate (--set optimiser.rate=…), or train with --set precision=float32",
            )

    def write(self, state: State, epochs: float) -> str:
        """One line about the steps since the last one -> the few words of it that stand beside the bar."""
        seconds = time.perf_counter() - self._since - self._laps[APART]
        total, soft, hard, count = self._world.mean(self._sums).tolist()
        images = self._images * self._world.size
        loss = total / max(count, 1)
        line = {
            "kind": "train",
            "step": state.step,
            "epoch": epochs,
            "loss": loss,
            "soft": soft / max(count, 1) if self._parts[0] else None,
            "hard": hard / max(count, 1) if self._parts[1] else None,
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

    def rewind(self, step: int, pending: list[float]) -> None:
        """Forget what was written after a step that is now taken again, and go on with the sums of then."""
        if pending:
            self._sums = torch.tensor(pending, dtype=torch.float64)
        if not self._world.first or not self._file.is_file():
            return
        # A training that had ended tells its end again.
        kept = [line for line, told in lines_of(self._file) if told["step"] <= step and told["kind"] != "end"]
        write_file(self._file, (line + b"\n" for line in kept))
