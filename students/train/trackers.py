"""Sends the numbers of a training to TensorBoard or Weights & Biases, in addition to metrics.jsonl; each is an extra.

Input: the lines of metrics.jsonl. Every number of a line is sent as `KIND/NAME` with the line's step.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

from kdcache.errors import Unavailable, UsageError
from students.runs.metrics import LOSSES
from students.runs.run import Run

NAMES = ("tensorboard", "wandb")


class Tracker(Protocol):
    """Receives the numbers of a training."""

    def log(self, numbers: dict[str, float], step: int) -> None:
        """Send the numbers of one step."""


class _TensorBoard:
    """Event files in RUN/tensorboard."""

    def __init__(self, run: Run, stack: ExitStack) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise _missing("tensorboard") from error
        self._writer = SummaryWriter(run.path / "tensorboard")
        stack.callback(self._writer.close)

    def log(self, numbers: dict[str, float], step: int) -> None:
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)


class _Wandb:
    """A run of the project `kd`, continued by a resumed training. WANDB_MODE=offline keeps it on this machine."""

    def __init__(self, run: Run, stack: ExitStack) -> None:
        try:
            import wandb
        except ImportError as error:
            raise _missing("wandb") from error
        record = run.record.plain()
        self._run = wandb.init(
            project="kd", name=run.path.name, id=run.path.name, resume="allow", dir=run.path, config=record
        )
        stack.callback(self._run.finish)

    def log(self, numbers: dict[str, float], step: int) -> None:
        self._run.log(numbers, step=step)


def _missing(name: str) -> Unavailable:
    return Unavailable(f"{name} is not installed", hint=f"pip install 'kd-cache[{name}]'")


def check_names(names: Sequence[str]) -> None:
    """Refuse unknown trackers."""
    for name in names:
        if name not in NAMES:
            raise UsageError(f"no tracker is called {name}", hint=f"one of {', '.join(NAMES)}")


@contextmanager
def trackers(names: Sequence[str], run: Run) -> Iterator[list[Tracker]]:
    """Open these trackers for a run."""
    with ExitStack() as stack:
        opened: dict[str, Callable[[Run, ExitStack], Tracker]] = {"tensorboard": _TensorBoard, "wandb": _Wandb}
        yield [opened[name](run, stack) for name in names]


def numbers_of(line: dict[str, Any]) -> dict[str, float]:
    """The numbers of a line of metrics.jsonl by full name, losses included."""
    place = "/".join(filter(None, (line["kind"], line.get("set"))))
    flat = line | line.get(LOSSES, {})
    return {
        f"{place}/{name}": float(value)
        for name, value in flat.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name != "step"
    }
