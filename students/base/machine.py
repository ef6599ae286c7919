"""The processes of one training: a single one, or several started by torchrun."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from kdcache.base.figures import whole
from kdcache.errors import KDError, Unavailable, UsageError

ALONE = 5.0
"""Seconds that a failed process waits before it reports its error: if the first process fails with the same error in
this time, its report is enough."""


@dataclass(frozen=True)
class World:
    """Rank and device of this process among those of the training."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the process that prints and writes files."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """The mean over all processes, in place."""
        if self.size > 1:
            distributed.all_reduce(values)
            values /= self.size
        return values

    def same(self, value: float) -> float:
        """The value of the first process."""
        if self.size == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.broadcast(shared, 0)
        return float(shared)

    def any(self, here: bool) -> bool:
        """True when `here` is true in any process."""
        if self.size == 1:
            return here
        count = torch.tensor([float(here)], device=self.device)
        distributed.all_reduce(count)
        return bool(count > 0)

    def wait(self) -> None:
        """Block until all processes have called this."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def joined(device: str) -> Iterator[World]:
    """The processes that torchrun started, or this process alone."""
    size, rank = _from_torchrun("WORLD_SIZE", 1), _from_torchrun("RANK", 0)
    here = device_of(device)
    if size == 1:
        yield World(0, 1, here)
        return
    if here.type == "cuda":
        torch.cuda.set_device(here)
    distributed.init_process_group("nccl" if here.type == "cuda" else "gloo")
    try:
        yield World(rank, size, here)
    except KDError as error:
        if rank:
            # If the first process has failed as well, it reports the error, and torchrun ends this one while it waits.
            time.sleep(ALONE)
            error.message = f"process {rank} of {size}: {error.message}"
            error.details["process"] = rank
        raise
    except RuntimeError as error:  # gloo raises plain RuntimeErrors
        if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
            raise
        raise Unavailable(
            f"process {rank} of {size} lost its connection to the others: {str(error).splitlines()[0]}",
            hint="another process has ended; its error is printed above or below, or in its own log",
        ) from error
    finally:
        distributed.destroy_process_group()


def _from_torchrun(variable: str, otherwise: int) -> int:
    """An environment variable that torchrun sets, as a number."""
    text = os.environ.get(variable, str(otherwise))
    if (number := whole(text)) is None:
        raise UsageError(f"{variable} is {text[:60]!r}, not a whole number", hint=f"torchrun sets it: unset {variable}")
    return number


def device_of(name: str) -> torch.device:
    """The device of that name on this machine; UsageError when there is none."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:[0-9]{1,4})?", name):
        raise UsageError(f"unsupported device: {name}", hint="--device cpu, cuda or cuda:N")
    if name == "cpu":
        return torch.device(name)
    index = int(name[5:]) if name[5:] else _from_torchrun("LOCAL_RANK", 0)
    if index >= (there := torch.cuda.device_count() if torch.cuda.is_available() else 0):
        sees = f"{there} CUDA devices, the last is cuda:{there - 1}" if there else "no CUDA device"
        raise UsageError(f"--device {name}, but torch sees {sees}", hint="--device cuda:0" if there else "--device cpu")
    return torch.device("cuda", index)
