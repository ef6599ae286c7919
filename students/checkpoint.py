"""The state of a training after a step: written whole or not at all, read back to the last bit.

    checkpoints/00000120/ model.safetensors  average.safetensors (when one is kept)  optimiser.safetensors  state.json

Tensors are safetensors, the rest is JSON: nothing that is loaded can run code. `state.json` holds a digest of every other file.
"""

import json
import shlex
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xxhash

from kdcache.atomic import remove_folder, storage_errors, whole_folder, write_file
from kdcache.digest import file_digest
from kdcache.errors import Damage, UsageError
from kdcache.tensors import write_tensors

if TYPE_CHECKING:
    import torch
    from torch import nn

KEPT = 2
DIGEST = "xxh3"
STATE = "state.json"


@dataclass
class State:
    """Where a training is."""

    step: int = 0
    """steps taken"""
    epoch: int = 0
    at: int = 0
    """steps taken of this epoch"""
    images: int = 0
    seconds: float = 0.0
    best: float | None = None
    """the best top-1 so far"""
    worse: int = 0
    """validations since then"""
    scaler: dict[str, float] = field(default_factory=dict)
    """loss scale of float16"""
    pending: list[float] = field(default_factory=list)
    """what was summed since the last line of metrics.jsonl"""


@dataclass(frozen=True)
class Parts:
    """What has tensors to keep."""

    network: "nn.Module"
    average: "nn.Module | None"
    optimiser: "torch.optim.Optimizer"


def save_checkpoint(run: Path, state: State, parts: Parts) -> Path:
    """Write checkpoints/STEP; older ones but one are removed once it is safe."""
    final = run / "checkpoints" / f"{state.step:08d}"
    with whole_folder(final) as draft:
        digests = {}
        for name, tensors in _tensors(parts).items():
            write_tensors(draft / name, tensors)
            digests[name] = file_digest(draft / name)
        content = json.dumps({"state": asdict(state), "files": digests}, indent=2) + "\n"
        write_file(draft / STATE, [content.encode()])
    for old in checkpoints(run)[:-KEPT]:
        remove_folder(old)
    return final


def save_tensors(path: Path, tensors: "dict[str, torch.Tensor]") -> None:
    """A safetensors file that appears whole or not at all, with a digest of its tensors in it."""
    write_tensors(path, tensors, {DIGEST: _digest(tensors)})


def load_tensors(path: Path) -> "dict[str, torch.Tensor]":
    """Read them back; Damage when they are not what was written. A file of somebody else has no digest to compare."""
    from safetensors import SafetensorError, safe_open

    hint = "bring it back from a copy, or train the student anew"
    try:
        with storage_errors(path, "read"), safe_open(path, "pt") as file:
            told, names = (file.metadata() or {}).get(DIGEST), file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise Damage(f"{path} is damaged: {error}", hint=hint, path=str(path)) from error
    if told is not None and told != _digest(tensors):
        raise Damage(f"{path} is damaged: its tensors are {_digest(tensors)}, it was written with {told}", hint=hint)
    return tensors


def _digest(tensors: "dict[str, torch.Tensor]") -> str:
    from torch import uint8

    found = xxhash.xxh3_128()
    for name in sorted(tensors):
        found.update(name.encode())
        found.update(tensors[name].detach().cpu().flatten().view(uint8).numpy().data)
    return found.hexdigest()


def checkpoints(run: Path) -> list[Path]:
    """Checkpoint folders, oldest first."""
    return sorted(path.parent for path in (run / "checkpoints").glob(f"[0-9]*/{STATE}"))


def load_checkpoint(run: Path, parts: Parts) -> State:
    """Bring back the newest checkpoint."""
    from safetensors.torch import load_file

    found = checkpoints(run)
    if not found:
        raise UsageError(
            f"{run} has no checkpoint to go on from", hint=f"remove it and start anew: rm -r {shlex.quote(str(run))}"
        )
    folder = found[-1]
    record = _read(folder)
    for name, expected in record["files"].items():
        if not (folder / name).is_file() or file_digest(folder / name) != expected:
            other = f"delete {folder} to go on from {found[-2].name}" if len(found) > 1 else "start the run anew"
            raise Damage(f"{folder / name} is damaged or missing", hint=other, path=str(folder / name))
    parts.network.load_state_dict(load_file(folder / "model.safetensors"))
    if parts.average is not None:
        parts.average.load_state_dict(load_file(folder / "average.safetensors"))
    _give_back(parts.network, parts.optimiser, load_file(folder / "optimiser.safetensors"))
    return State(**record["state"])


def _read(folder: Path) -> dict[str, Any]:
    with storage_errors(folder / STATE, "read"):
        raw = (folder / STATE).read_text("utf-8")
    try:
        record: dict[str, Any] = json.loads(raw)
        State(**record["state"])
        record["files"].items()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damage(f"{folder / STATE} cannot be read", hint=f"delete {folder} to use the one before") from error
    return record


def _tensors(parts: Parts) -> "dict[str, dict[str, torch.Tensor]]":
    kept = {"model.safetensors": parts.network.state_dict()}
    if parts.average is not None:
        kept["average.safetensors"] = parts.average.state_dict()
    names = {id(parameter): name for name, parameter in parts.network.named_parameters()}
    moments = {
        f"{names[id(parameter)]}/{key}": value
        for parameter, state in parts.optimiser.state.items()
        for key, value in state.items()
    }
    return kept | {"optimiser.safetensors": moments}


def _give_back(network: "nn.Module", optimiser: "torch.optim.Optimizer", moments: "dict[str, torch.Tensor]") -> None:
    """Hand every parameter its moments, laid out in memory as it is itself: a fused optimiser goes through both in that order."""
    import torch

    parameters = dict(network.named_parameters())
    for key, value in moments.items():
        name, _, what = key.rpartition("/")
        parameter = parameters[name]
        alike = value.shape == parameter.shape
        kept = torch.empty_like(parameter, requires_grad=False).copy_(value) if alike else value.to(parameter.device)
        optimiser.state[parameter][what] = kept
