"""Loads weights from a file into a student, also from another layout, for other windows or other classes.

Input: a safetensors or torch file with tensors under our names (for TinyViT those of timm) or as published with the paper. No
tensor may be missing or left over. Output: a record of what was changed to fit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from kdcache.base.digest import file_sha256
from kdcache.base.tensors import load_exact, read_tensors, refuse_integers
from kdcache.errors import Mismatch, Unavailable, UsageError
from students.base.contracts import Family, Tensors
from students.families.spec import StudentSpec

WRAPPED = ("model", "state_dict")
"""Keys under which training programs store the weights, next to other state."""
Head = Literal["keep", "new"]


@dataclass(frozen=True)
class HeadRows:
    """File that gives the row of the old head for each class: one number per line, -1 if the old head has no such class."""

    file: Path
    absent: Literal["zero", "mean"] = "zero"
    """Weights for a row of -1: TinyViT uses zeros to evaluate (remap_layer.py) and the mean of the other rows to
    fine-tune (utils.py)."""


@dataclass(frozen=True)
class Adapted:
    """Origin of loaded weights, and what was changed to fit them to the student."""

    source: str
    sha256: str
    layout: str
    """Layout of the tensors in the file, as its family names it: `timm`, `published` or `own`."""
    changed: tuple[str, ...]
    """Names of the tensors that were interpolated to another input size."""
    head: Literal["kept", "picked", "new"]


def load_into(
    network: nn.Module, spec: StudentSpec, file: Path, *, family: Family[Any], head: Head, rows: HeadRows | None
) -> Adapted:
    """Load weights: see `students.families.registry.load_weights`."""
    if not file.is_file():
        raise Unavailable(f"no weights at {file}", hint="give a safetensors or torch file")
    tensors, layout, changed = family.adopt(_unwrapped(read_tensors(file), file), network, spec)
    refuse_integers(tensors, str(file))
    names = () if family.classifier is None else (f"{family.classifier}.weight", f"{family.classifier}.bias")
    done: Literal["kept", "picked", "new"] = "kept"
    if family.classifier is None and (head == "new" or rows is not None):
        raise UsageError(f"{spec.name} has no classifier", hint="leave --new-head and --head-rows out")
    if head == "new":
        if rows is not None:
            raise UsageError(f"--new-head cannot use rows of {rows.file}", hint="leave out --new-head or --head-rows")
        own = network.state_dict()
        tensors, done = tensors | {name: own[name] for name in names}, "new"
    elif rows is not None:
        tensors, done = _picked(tensors, names, rows, spec, file), "picked"
    else:
        _check_head(tensors, names, spec, file)
    hint = f"these are weights of another student; {spec.name} is {spec.described}"
    load_exact(network, tensors, source=str(file), what=spec.name, hint=hint)
    return Adapted(str(file), file_sha256(file), layout, changed, done)


def _unwrapped(loaded: Mapping[str, Any], file: Path) -> Tensors:
    inner = next((loaded[key] for key in WRAPPED if isinstance(loaded.get(key), Mapping)), loaded)
    tensors = {str(name): value for name, value in inner.items() if isinstance(value, Tensor)}
    if not tensors:
        raise UsageError(f"{file} has no named tensors", hint="give a weights file of a student")
    return tensors


def _check_head(tensors: Tensors, names: tuple[str, ...], spec: StudentSpec, file: Path) -> None:
    have = {int(tensors[name].shape[0]) for name in names if name in tensors and tensors[name].ndim}
    if have and have != {len(spec.classes)}:
        count = ", ".join(f"{n:,}" for n in sorted(have))
        raise Mismatch(
            f"the head of {file} has {count} classes, {spec.name} has {len(spec.classes):,}",
            hint="--new-head starts with a new classifier; kd finetune --head-rows FILE starts with rows of the old one",
        )


def _picked(tensors: Tensors, names: tuple[str, ...], rows: HeadRows, spec: StudentSpec, file: Path) -> Tensors:
    missing = [name for name in names if name not in tensors]
    if missing:
        raise Mismatch(f"{file} has no head to pick rows from", hint="start with a new head", missing=missing)
    wanted = _row_numbers(rows.file)
    if len(wanted) != len(spec.classes):
        raise Mismatch(f"{rows.file} picks {len(wanted):,} rows, {spec.name} has {len(spec.classes):,} classes")
    lengths = {tuple(tensors[name].shape[:1]) for name in names}
    if len(lengths) > 1 or () in lengths:
        shapes = " and ".join(str(tuple(tensors[name].shape)) for name in names)
        raise Mismatch(f"weight and bias of the head of {file} do not belong together: their shapes are {shapes}")
    count = int(tensors[names[0]].shape[0])
    beyond = [row for row in wanted if not -1 <= row < count]
    if beyond:
        raise Mismatch(f"{rows.file} picks row {beyond[0]}, the head of {file} has {count:,}")
    known = [row for row in wanted if row >= 0]
    if not known:
        raise Mismatch(f"{rows.file} picks no row of {file}")
    return tensors | {name: _rows_of(tensors[name], wanted, known, rows.absent) for name in names}


def _rows_of(tensor: Tensor, wanted: list[int], known: list[int], absent: str) -> Tensor:
    """The wanted rows. The row for -1 is appended as the last one, which is what the index -1 selects."""
    rest = tensor[known].mean(0, keepdim=True) if absent == "mean" else torch.zeros_like(tensor[:1])
    return torch.cat([tensor, rest])[wanted]


def _row_numbers(file: Path) -> list[int]:
    if not file.is_file():
        raise Unavailable(f"no list of rows at {file}")
    try:
        return [int(line) for line in file.read_text("utf-8").split()]
    except ValueError as error:
        raise UsageError(
            f"{file} is not a list of row numbers: {error}", hint="one number per line, -1 for none"
        ) from error
