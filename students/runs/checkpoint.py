"""Checkpoints: the state of a training after a step, written completely or not at all, and restored bit for bit.

    checkpoints/00000120/ model.safetensors  average.safetensors (when one is kept)  optimiser.safetensors  state.json
                          objectives.safetensors  constraints.safetensors (where they have anything to keep)

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
from students.base.objective import Constraint
from students.runs.kept import STATE, checkpoints
from students.runs.metrics import MOST_STEPS

if TYPE_CHECKING:
    import torch
    from torch import nn

KEPT = 2
DIGEST = "xxh3"
FILES = MODEL, AVERAGE, OPTIMISER, OBJECTIVES, CONSTRAINTS = (
    "model.safetensors", "average.safetensors", "optimiser.safetensors", "objectives.safetensors", "constraints.safetensors",
)  # fmt: skip
MOMENTS = {"AdamW": ("step", "exp_avg", "exp_avg_sq"), "Muon": ("momentum_buffer",)}
"""Optimiser -> keys of its state of a parameter."""
SCALER = {"scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker"}
"""Keys of the state of torch's GradScaler."""
LOSS, IMAGES = "loss", "images"
"""Names of two running sums in addition to the losses: the weighted total loss, and the number of images."""
FIRST_SUMS = 4
"""Names of the running sums that the first release stored as a list: loss, soft labels, true classes, images."""
Count = Annotated[int, Field(ge=0, le=MOST_STEPS)]


@dataclass
class State:
    """State of a training: its position, its best score and its running sums."""

    step: Count = 0
    """Number of steps taken."""
    epoch: Count = 0
    at: Count = 0
    """Number of steps taken in this epoch."""
    images: Count = 0
    seconds: float = 0.0
    best: float | None = None
    """Best validation score so far."""
    worse: Count = 0
    """Number of validations since the best score."""
    scaler: dict[str, int | float] = field(default_factory=dict)
    """State of the float16 loss scaler."""
    pending: dict[str, float] | list[float] = field(default_factory=dict)
    """Running sums since the last line of metrics.jsonl, by name; the first release wrote them as a list, which is
    read as well."""

    def sums(self, parts: tuple[str, ...]) -> dict[str, float] | None:
        """The pending sums of a training with these losses; None if they belong to other losses."""
        names, pending = (LOSS, *parts, IMAGES), self.pending
        if not pending:
            return dict.fromkeys(names, 0.0)
        if isinstance(pending, dict):
            return pending if pending.keys() == set(names) else None
        loss, soft, hard, images = pending
        # The first release had one objective. Of a single part the other sum is 0; without these parts there is only the loss.
        each = (soft, hard) if len(parts) == 2 else (soft or hard or loss,)
        return dict(zip(names, (loss, *each, images), strict=True)) if len(parts) == len(each) else None


class _Kept(Strict):
    """Content of state.json."""

    state: State
    files: dict[str, str]
    """File name -> digest."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        pending = self.state.pending
        unnamed = isinstance(pending, list) and len(pending) not in (0, FIRST_SUMS)
        if self.state.scaler.keys() not in (set(), SCALER) or unnamed:
            raise ValueError("its loss scale or its sums do not have the keys of a training state")
        return self


@dataclass(frozen=True)
class Parts:
    """Everything whose tensors a checkpoint stores."""

    network: "nn.Module"
    average: "nn.Module | None"
    optimisers: "tuple[torch.optim.Optimizer, ...]"
    own: "nn.Module"
    """The objectives' own weights, which are in no weights file."""
    constraints: "tuple[Constraint, ...]" = ()

    @property
    def trained(self) -> "dict[str, nn.Parameter]":
        """Every trained parameter, by a unique name: no name in a network contains a slash."""
        own = {f"objectives/{name}": parameter for name, parameter in self.own.named_parameters()}
        return dict(self.network.named_parameters()) | own

    @property
    def constraint_states(self) -> "dict[str, torch.Tensor]":
        """State of the constraints, by their position in the recipe."""
        each = enumerate(self.constraints)
        return {f"{place}/{name}": value for place, one in each for name, value in one.state().items()}


def save_checkpoint(run: Path, state: State, parts: Parts) -> Path:
    """Write checkpoints/STEP, then remove all but the newest KEPT; returns its path."""
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
    """Write a safetensors file completely or not at all, with a digest of its tensors in it."""
    write_tensors(path, tensors, {DIGEST: _digest(tensors)})


def load_tensors(path: Path) -> "dict[str, torch.Tensor]":
    """Read such a file. Raises Damage if the digest does not match; a foreign file has no digest."""
    hint = "bring it back from a copy, or train the student again"
    try:
        tensors, metadata = read_safetensors(path)
    except Damage as damage:
        damage.hint = hint
        raise
    recorded = metadata.get(DIGEST)
    if recorded is not None and recorded != _digest(tensors):
        raise Damage(
            f"{path} is damaged: its tensors are {_digest(tensors)}, it was written with {recorded}", hint=hint
        )
    return tensors


def _digest(tensors: "dict[str, torch.Tensor]") -> str:
    from torch import uint8

    found = xxhash.xxh3_128()
    for name in sorted(tensors):
        found.update(name.encode())
        found.update(tensors[name].detach().cpu().flatten().view(uint8).numpy().data)
    return found.hexdigest()


def load_checkpoint(run: Path, parts: Parts) -> State:
    """Restore the newest checkpoint."""
    found = checkpoints(run)
    if not found:
        raise UsageError(
            f"{run} has no checkpoint to resume from", hint=f"remove it and start again: rm -r {shlex.quote(str(run))}"
        )
    folder = found[-1]
    other = f"delete {folder} to resume from {found[-2].name}" if len(found) > 1 else "start the run again"
    refuse_links([folder, *(folder / name for name in (STATE, *FILES))], hint=other)
    kept = _Kept.from_file(folder / STATE, what="the state of a training", hint=other)
    networks = {MODEL: parts.network} | ({AVERAGE: parts.average} if parts.average is not None else {})
    if parts.own.state_dict():
        networks[OBJECTIVES] = parts.own
    if kept.files.keys() != {*networks, OPTIMISER, *([CONSTRAINTS] if parts.constraint_states else [])}:
        raise Damage(f"{folder / STATE} names {', '.join(sorted(kept.files))}", hint=other, path=str(folder))
    for name, expected in kept.files.items():
        if not (folder / name).is_file() or file_digest(folder / name) != expected:
            raise Damage(f"{folder / name} is damaged or missing", hint=other, path=str(folder / name))
    for name, network in networks.items():
        tensors = read_safetensors(folder / name)[0]
        what = "the objectives" if name == OBJECTIVES else "the student"
        load_exact(network, tensors, source=str(folder / name), what=what, hint=other)
    _give_back(parts, folder / OPTIMISER, hint=other)
    if parts.constraint_states:
        _restore(parts, folder / CONSTRAINTS, hint=other)
    return kept.state


def _tensors(parts: Parts) -> "dict[str, dict[str, torch.Tensor]]":
    kept = {MODEL: parts.network.state_dict()}
    if parts.average is not None:
        kept[AVERAGE] = parts.average.state_dict()
    if own := parts.own.state_dict():
        kept[OBJECTIVES] = own
    if states := parts.constraint_states:
        kept[CONSTRAINTS] = states
    names = {id(parameter): name for name, parameter in parts.trained.items()}
    moments = {
        f"{names[id(parameter)]}/{key}": value
        for optimiser in parts.optimisers
        for parameter, state in optimiser.state.items()
        for key, value in state.items()
    }
    return kept | {OPTIMISER: moments}


def _restore(parts: Parts, file: Path, *, hint: str) -> None:
    """Restore every constraint; names, shapes and types must be those of its state now."""
    kept, now = read_safetensors(file)[0], parts.constraint_states
    facts = [{name: (value.shape, value.dtype) for name, value in each.items()} for each in (kept, now)]
    if facts[0] != facts[1]:
        raise Damage(f"{file} does not fit the constraints of the recipe", hint=hint, path=str(file))
    for place, constraint in enumerate(parts.constraints):
        begin = f"{place}/"
        constraint.restore({n.removeprefix(begin): value for n, value in kept.items() if n.startswith(begin)})


def _give_back(parts: Parts, file: Path, *, hint: str) -> None:
    """Restore the moments of every parameter in its own memory layout, which a fused optimiser relies on."""
    import torch

    moments, parameters, owners = read_safetensors(file)[0], parts.trained, _owners(parts)
    named = {key.rpartition("/")[0] for key in moments}
    wanted = {f"{name}/{what}" for name in named & owners.keys() for what in _moments(owners[name])}
    if moments.keys() != wanted:
        raise Damage(f"{file} does not hold the moments of this recipe's optimiser", hint=hint, path=str(file))
    for key, value in moments.items():
        name, _, what = key.rpartition("/")
        parameter = parameters[name]
        if value.shape != (() if what == "step" else parameter.shape) or value.dtype not in FLOATS:
            raise Damage(f"{file} does not fit the student: {key}", hint=hint, path=str(file))
        alike = value.shape == parameter.shape
        kept = torch.empty_like(parameter, requires_grad=False).copy_(value) if alike else value.to(parameter.device)
        owners[name].state[parameter][what] = kept


def _owners(parts: Parts) -> "dict[str, torch.optim.Optimizer]":
    """Name of a parameter -> the optimiser that trains it."""
    names = {id(parameter): name for name, parameter in parts.trained.items()}
    every = (
        (each, parameter) for each in parts.optimisers for group in each.param_groups for parameter in group["params"]
    )
    return {names[id(parameter)]: optimiser for optimiser, parameter in every}


def _moments(optimiser: "torch.optim.Optimizer") -> tuple[str, ...]:
    return MOMENTS[type(optimiser).__name__]
