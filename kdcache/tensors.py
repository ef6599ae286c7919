"""Weight files: how they are read and written, and how tensors come into a network with nothing missing and nothing over.

Only safetensors and `torch.load(weights_only=True)`: nothing here can run code from a file.
"""

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from kdcache.atomic import write_file
from kdcache.errors import Damage, KDError, Mismatch, UsageError

LFS_POINTER = b"version https://git-lfs"
SHOWN_NAMES = 6
# Buffers that a network computes from its shape, or never reads in eval mode; some versions of a library save them.
DERIVED = ("position_ids", "relative_position_index", "attn_mask", "num_batches_tracked")


def read_tensors(path: Path) -> dict[str, Any]:
    """All of one weight file, on the host. Torch files may nest further plain values."""
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(LFS_POINTER):
        raise UsageError(f"{path} is a git-lfs pointer, not the weights", hint="run: git lfs pull")
    if start[:2] == b"PK" or start[:1] == b"\x80":
        return _read_torch(path)
    if start[8:9] == b"{":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return dict(load_file(path))
        except SafetensorError as error:
            raise Damage(f"{path} is damaged: {error}", hint="fetch the file again") from error
    raise UsageError(f"{path} is not a weight file", hint="weights are safetensors or torch files")


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except SafetensorError as error:
        raise UsageError(f"{path} is not a safetensors file: {error}") from error


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: dict[str, str] | None = None) -> None:
    """A safetensors file that appears whole or not at all."""
    from safetensors.torch import save

    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    write_file(path, [save(plain, metadata)])


def _read_torch(path: Path) -> dict[str, Any]:
    try:
        if zipfile.is_zipfile(path):
            _refuse_programs(path)
        with torch.serialization.safe_globals(_numbers()):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        asked_for = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it asks for {asked_for[1]}" if asked_for else str(error).split("\n", 1)[0]
        raise UsageError(f"{path} holds more than weights: {reason}", hint="convert it to safetensors") from error
    except KDError:
        raise
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise Damage(f"{path} is damaged: {str(error).splitlines()[0]}", hint="fetch the file again") from error
    if not isinstance(loaded, Mapping):
        raise UsageError(f"{path} holds a {type(loaded).__name__}, not tensors by name")
    return dict(loaded)


def _numbers() -> list[Any]:
    """What rebuilds the numpy numbers that trainers leave in checkpoints, and nothing else."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = [type(np.dtype(kind)) for kind in ("?", "i4", "i8", "f4", "f8")]
    return [np.dtype, *kinds, scalar, (scalar, "numpy.core.multiarray.scalar")]


def _refuse_programs(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        if any("/code/" in name for name in archive.namelist()):
            hint = "save its state_dict() as safetensors"
            raise UsageError(f"{path} is a TorchScript program, not weights", hint=hint)


def load_exact(network: nn.Module, tensors: Mapping[str, Any], *, source: str, what: str, hint: str) -> None:
    """Copy tensors into a network: every name must be there, none over, all shapes equal (derived buffers aside)."""
    have = network.state_dict()
    strange = sorted(name for name, value in tensors.items() if not _is_dense(value))
    if strange:
        raise Mismatch(f"{source} holds something else than dense tensors: {shortened(strange)}", hint=hint)
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
        raise Mismatch(f"the tensors of {source} do not fit {what}: {'; '.join(wrong)}", hint=hint, **parts)
    network.load_state_dict(tensors, strict=False)


def _is_dense(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.layout == torch.strided and not value.is_meta


def shortened(names: list[str]) -> str:
    """The first few names, and how many more."""
    more = len(names) - SHOWN_NAMES
    return ", ".join(names[:SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")
