"""Tensors into networks: strictly from a checkpoint, or at random from one fixed seed."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from kdcache.errors import Mismatch
from kdcache.spec import Weights

RANDOM_SEED = 0
SHOWN_NAMES = 6
# Buffers that a network computes from its shape, or never reads in eval mode; some versions of a library save them.
DERIVED = ("position_ids", "relative_position_index", "attn_mask", "num_batches_tracked")


def load_strict(network: nn.Module, tensors: Mapping[str, Any], *, source: str, what: str) -> None:
    """Copy tensors into a network: every name must be there, none over, all shapes equal (derived buffers aside)."""
    have = network.state_dict()
    tensors = {name: value for name, value in tensors.items() if name in have or not name.endswith(DERIVED)}
    missing = sorted(name for name in have.keys() - tensors.keys() if not name.endswith(DERIVED))
    unexpected = sorted(tensors.keys() - have.keys())
    shapes = [
        f"{name} {tuple(tensors[name].shape)} for {tuple(have[name].shape)}"
        for name in sorted(have.keys() & tensors.keys())
        if tensors[name].shape != have[name].shape
    ]
    parts = {"missing": missing, "unexpected": unexpected, "of another shape": shapes}
    wrong = [f"{len(names)} {kind} ({shortened(names)})" for kind, names in parts.items() if names]
    if wrong:
        raise Mismatch(
            f"the tensors of {source} do not fit {what}: {'; '.join(wrong)}",
            hint="check --teacher and --size",
            **parts,
        )
    network.load_state_dict(tensors, strict=False)


def shortened(names: list[str]) -> str:
    """The first few names, and how many more."""
    more = len(names) - SHOWN_NAMES
    return ", ".join(names[:SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


def renamed(tensors: Mapping[str, Any], rename: Callable[[str], str | None]) -> dict[str, Any]:
    """Tensors under new names; those renamed to None are left out."""
    new = {rename(name): value for name, value in tensors.items()}
    return {name: value for name, value in new.items() if name is not None}


@contextmanager
def seeded() -> Iterator[str]:
    """Initialise modules from one fixed seed, leaving the global generator as it was. Yields the stamp `random:SEED`."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(RANDOM_SEED)
        yield f"random:{RANDOM_SEED}"


def state_record(network: nn.Module, source: str) -> Weights:
    """Who a network is when no file says it: sha256 over its tensors in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        values: Tensor = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return Weights(source=source, sha256=digest.hexdigest())
