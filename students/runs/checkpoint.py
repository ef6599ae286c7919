"""The state of a training after a step: written whole or not at all, read back to the last bit.

    checkpoints/00000120/ model.safetensors  average.safetensors (when one is kept)  optimiser.safetensors  state.json

Tensors are safetensors, the rest is JSON: nothing that is loaded can run code. `state.json` holds a digest of every other file.
"""

import json
import shlex
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import xxhash
from pydantic import Field, model_validator

from kdcache.base.atomic import remove_folder, whole_folder, write_file
from kdcache.base.digest import file_digest
from kdcache.base.foreign import refuse_links
from kdcache.base.strict import Strict
from kdcache.base.tensors import FLOATS, load_exact, read_safetensors, write_tensors
from kdcache.errors import Damage, UsageError
from students.runs.kept import STATE, checkpoints
from students.runs.metrics import MOST_STEPS

if TYPE_CHECKING:
    import torch
    from torch import nn

KEPT = 2
DIGEST = "xxh3"
FILES = MODEL, AVERAGE, OPTIMISER = "model.safetensors", "average.safetensors", "optimiser.safetensors"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""what AdamW keeps of a parameter"""
SCALER = {"scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker"}
"""what torch's GradScaler keeps"""
SUMS = 4
"""numbers that a training sums up between two lines of metrics.jsonl"""
Count = Annotated[int, Field(ge=0, le=MOST_STEPS)]


@dataclass
class State:
    """Where a training is."""

    step: Count = 0
    """steps taken"""
    epoch: Count = 0
    at: Count = 0
    """steps taken of this epoch"""
    images: Count = 0
    seconds: float = 0.0
    best: float | None = None
    """the best top-1 so far"""
    worse: Count = 0
    """validations since then"""
    scaler: dict[str, int | float] = field(default_factory=dict)
    """loss scale of float16"""
    pending: list[float] = field(default_factory=list)
    """what was summed since the last line of metrics.jsonl"""


class _Kept(Strict):
    """What state.json holds."""

    state: State
    files: dict[str, str]
    """file -> digest"""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.state.scaler.keys() not in (set(), SCALER) or len(self.state.pending) not in (0, SUMS):
            raise ValueError("its loss scale or its sums are not those of a training")
        return self


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
    hint = "bring it back from a copy, or train the student anew"
    try:
        tensors, metadata = read_safetensors(path)
    except Damage as damage:
        damage.hint = hint
        raise
    told = metadata.get(DIGEST)
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


def load_checkpoint(run: Path, parts: Parts) -> State:
    """Bring back the newest checkpoint."""
    found = checkpoints(run)
    if not found:
        raise UsageError(
            f"{run} has no checkpoint to go on from", hint=f"remove it and start anew: rm -r {shlex.quote(str(run))}"
        )
    folder = found[-1]
    other = f"delete {folder} to go on from {found[-2].name}" if len(found) > 1 else "start the run anew"
    refuse_links([folder, *(folder / name for name in (STATE, *FILES))], hint=other)
    kept = _Kept.from_file(folder / STATE, what="the state of a training", hint=other)
    networks = {MODEL: parts.network} | ({AVERAGE: parts.average} if parts.average is not None else {})
    if kept.files.keys() != {*networks, OPTIMISER}:
        raise Damage(f"{folder / STATE} names {', '.join(sorted(kept.files))}", hint=other, path=str(folder))
    for name, expected in kept.files.items():
        if not (folder / name).is_file() or file_digest(folder / name) != expected:
            raise Damage(f"{folder / name} is damaged or missing", hint=other, path=str(folder / name))
    for name, network in networks.items():
        tensors = read_safetensors(folder / name)[0]
        load_exact(network, tensors, source=str(folder / name), what="the student", hint=other)
    _give_back(parts.network, parts.optimiser, folder / OPTIMISER, hint=other)
    return kept.state


def _tensors(parts: Parts) -> "dict[str, dict[str, torch.Tensor]]":
    kept = {MODEL: parts.network.state_dict()}
    if parts.average is not None:
        kept[AVERAGE] = parts.average.state_dict()
    names = {id(parameter): name for name, parameter in parts.network.named_parameters()}
    moments = {
        f"{names[id(parameter)]}/{key}": value
        for parameter, state in parts.optimiser.state.items()
        for key, value in state.items()
    }
    return kept | {OPTIMISER: moments}


def _give_back(network: "nn.Module", optimiser: "torch.optim.Optimizer", file: Path, *, hint: str) -> None:
    """Hand every parameter its moments, laid out in memory as it is itself: a fused optimiser goes through both in that order."""
    import torch

    moments = read_safetensors(file)[0]
    parameters = dict(network.named_parameters())
    named = {key.rpartition("/")[0] for key in moments}
    if moments.keys() != {f"{name}/{what}" for name in named for what in MOMENTS} or not named <= parameters.keys():
        raise Damage(f"{file} holds other moments than those of AdamW", hint=hint, path=str(file))
    for key, value in moments.items():
        name, _, what = key.rpartition("/")
        parameter = parameters[name]
        if value.shape != (() if what == "step" else parameter.shape) or value.dtype not in FLOATS:
            raise Damage(f"{file} does not fit the student: {key}", hint=hint, path=str(file))
        alike = value.shape == parameter.shape
        kept = torch.empty_like(parameter, requires_grad=False).copy_(value) if alike else value.to(parameter.device)
        optimiser.state[parameter][what] = kept
