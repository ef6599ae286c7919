"""Fill networks with weights: strictly from a checkpoint, or randomly from a fixed seed."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from kdcache.base.tensors import load_exact
from kdcache.signals.teacher import Weights

RANDOM_SEED = 0


def load_strict(network: nn.Module, tensors: Mapping[str, Any], *, source: str, what: str) -> None:
    """Copy tensors into a teacher's network; names and shapes must match exactly."""
    load_exact(network, tensors, source=source, what=what, hint="check --teacher and --size")


def renamed(tensors: Mapping[str, Any], rename: Callable[[str], str | None]) -> dict[str, Any]:
    """Tensors under new names; those renamed to None are left out."""
    new = {rename(name): value for name, value in tensors.items()}
    return {name: value for name, value in new.items() if name is not None}


@contextmanager
def seeded() -> Iterator[str]:
    """Initialise modules from a fixed seed without changing the global generator. Yields the source `random:SEED`."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(RANDOM_SEED)
        yield f"random:{RANDOM_SEED}"


def state_record(network: nn.Module, source: str) -> Weights:
    """The identity of a network without a file: a sha256 over its tensors in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        values: Tensor = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return Weights(source=source, sha256=digest.hexdigest())
