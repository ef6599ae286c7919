"""Logs a training to metrics.jsonl, one JSON object per line: losses, learning rate, and the time of each stage."""

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
OUTSIDE = "outside"
"""Name of the stage whose time does not count as training: validation and checkpoints."""


class Log:
    """Sums up steps and writes a line at intervals. Losses stay on the device until then."""

    def __init__(
        self, run: Run, world: World, parts: tuple[str, ...], trackers: Sequence[Tracker] = (), *, timed: bool = False
    ) -> None:
        """`parts`: names of the losses, each of which has its own sum."""
        self._timed = timed and world.device.type == "cuda"
        self._trackers = trackers
        self._file, self._world = run.path / METRICS, world
        self.rate = 0.0
        self.grad: Tensor = torch.zeros(())
        self._parts = parts
        self._clear()

    def _clear(self) -> None:
        self._sums: Tensor = torch.zeros(2 + len(self._parts), dtype=torch.float64)
        self._laps = dict.fromkeys((*LAPS, OUTSIDE), 0.0)
        self._steps = 0
        self._since = time.perf_counter()
        self._images = 0

    @contextmanager
    def lap(self, name: str) -> Iterator[None]:
        """Context whose time is added to a stage; with `timed`, it waits until the accelerator has finished the stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            if self._timed:
                torch.cuda.synchronize(self._world.device)
            self._laps[name] += time.perf_counter() - start

    def add(self, losses: Losses, good: Tensor) -> None:
        """Add the losses of a piece, one value per row; `good` masks the rows that count."""
        rows = [losses.total, *(losses.parts[part] for part in self._parts), torch.ones_like(losses.total)]
        sums = torch.stack([(row.detach() * good).sum() for row in rows]).double()
        self._sums = self._sums.to(sums.device) + sums
        self._images += len(good)

    def step(self) -> None:
        """Count a finished step."""
        self._steps += 1

    def pending(self) -> dict[str, float]:
        """The sums since the last line, averaged over processes, for a checkpoint. Raises if the loss is not finite."""
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
        """Write a line about the steps since the last line; returns a short text for the progress bar."""
        seconds = time.perf_counter() - self._since - self._laps[OUTSIDE]
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
        """Append one line to metrics.jsonl."""
        if self._world.first:
            with storage_errors(self._file), self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, allow_nan=False) + "\n")
            for tracker in self._trackers:
                tracker.log(numbers_of(line), line["step"])

    def rewind(self, step: int, sums: dict[str, float]) -> None:
        """Remove the lines after step `step`, from which training resumes, and continue with its sums."""
        self._sums = torch.tensor([sums[name] for name in (LOSS, *self._parts, IMAGES)], dtype=torch.float64)
        if not self._world.first or not self._file.is_file():
            return
        # The line of the end is removed as well: a resumed training writes it again.
        kept = [line for line, values in lines_of(self._file) if values["step"] <= step and values["kind"] != "end"]
        write_file(self._file, (line + b"\n" for line in kept))
