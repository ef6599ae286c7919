"""Classifier heads on pooled embeddings: apply, save and load them.

A head file is safetensors: `weight` (classes, dim) and `bias` (classes), and `norm.weight` and `norm.bias` (dim) if a layer norm
is applied first. Its metadata has the normalisation (`norm`: none, l2 or layer), the class names and, for a fitted head, the
accuracy, the teacher and the images.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from kdcache.base.digest import file_sha256
from kdcache.base.plain_json import NotPlain, parse_json
from kdcache.base.tensors import read_safetensors, refuse_integers, write_tensors
from kdcache.errors import Damage, Mismatch, UsageError
from kdcache.signals.teacher import TeacherSpec, Weights

Norm = Literal["none", "l2", "layer"]
SHOWN = 24
FIT = "a head file holds weight and bias; `kd teacher fit-head` writes one"
HEAD_FORMAT = "kd-head-1"


@dataclass(frozen=True)
class Head:
    """A linear head: logits = weight @ norm(embedding) + bias, always in float32."""

    weight: Tensor
    bias: Tensor
    norm: Norm = "none"
    norm_weight: Tensor | None = None
    norm_bias: Tensor | None = None
    eps: float = 1e-5
    classes: tuple[str, ...] | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    """Facts recorded about the head: accuracy, teacher, dataset …"""

    def __call__(self, embedding: Tensor) -> Tensor:
        """Compute logits (batch, classes) from float32 embeddings (batch, dim)."""
        if self.norm == "l2":
            embedding = F.normalize(embedding, dim=-1)
        elif self.norm == "layer":
            embedding = F.layer_norm(embedding, embedding.shape[-1:], self.norm_weight, self.norm_bias, self.eps)
        return F.linear(embedding, self.weight, self.bias)

    @property
    def dim(self) -> int:
        """Length of the embedding that it reads."""
        return self.weight.shape[1]

    def to(self, device: torch.device) -> Self:
        """A copy of the head on a device."""
        moved: dict[str, Any] = {name.replace(".", "_"): value.to(device) for name, value in self._tensors().items()}
        return replace(self, **moved)

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {"weight": self.weight, "bias": self.bias}
        if self.norm_weight is not None and self.norm_bias is not None:
            tensors |= {"norm.weight": self.norm_weight, "norm.bias": self.norm_bias}
        return tensors


def save_head(head: Head, path: Path, *, teacher: TeacherSpec, dataset: str, fingerprint: str) -> Weights:
    """Write a head file that records the teacher and the images it was fitted on; returns its identity."""
    metadata = {
        **head.facts,
        "format": HEAD_FORMAT,
        "norm": head.norm,
        "eps": repr(head.eps),
        "teacher": f"{teacher.family} {teacher.size}",
        "teacher_weights": teacher.weights.sha256,
        "preprocess": json.dumps(teacher.preprocess.plain(), sort_keys=True),
        "dataset": dataset,
        "fingerprint": fingerprint,
    }
    if head.classes is not None:
        metadata["classes"] = json.dumps(head.classes)
    write_tensors(path, head._tensors(), metadata)
    return Weights(source=f"file:{path.name}", sha256=file_sha256(path))


def load_head(path: Path) -> tuple[Head, Weights]:
    """Read and strictly check a head file; returns the head and its identity."""
    tensors, metadata = read_safetensors(path)
    norm: Any = metadata.get("norm", "none")
    needed = {"weight", "bias"} | ({"norm.weight", "norm.bias"} if norm == "layer" else set())
    if norm not in get_args(Norm) or tensors.keys() != needed:
        raise UsageError(
            f"{path.name} is not a head: norm is {norm!r}, tensors are {', '.join(sorted(tensors))}",
            hint=FIT,
        )
    refuse_integers(tensors, str(path))
    plain = {name.replace(".", "_"): value.float() for name, value in tensors.items()}
    head = Head(**plain, norm=norm, eps=_eps(path, metadata), classes=_classes(path, metadata), facts=metadata)
    _check_shapes(path, head)
    return head, Weights(source=f"file:{path.name}", sha256=file_sha256(path))


def _eps(path: Path, metadata: Mapping[str, str]) -> float:
    text = metadata.get("eps", "1e-5")
    try:
        eps = float(text)
    except ValueError:
        eps = math.nan
    if not 0 <= eps < 1:
        raise UsageError(f"{path} is not a head: its eps is {text[:SHOWN]!r}", hint=FIT)
    return eps


def _classes(path: Path, metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    if "classes" not in metadata:
        return None
    try:
        names = parse_json(metadata["classes"])
    except NotPlain as reason:
        raise UsageError(f"{path} is not a head: of its class names, {reason}", hint=FIT) from reason
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"{path} is not a head: its classes are not a list of names", hint=FIT)
    return tuple(names)


def check_fits(head: Head, *, name: str, weights: Weights) -> None:
    """Refuse a head that was fitted on another teacher."""
    fitted_on = head.facts.get("teacher_weights", weights.sha256)
    if fitted_on != weights.sha256:
        raise Mismatch(
            f"the head was fitted on {head.facts.get('teacher')} with weights {fitted_on[:12]}, "
            f"but this is {name} with weights {weights.sha256[:12]}",
            hint="fit a head for this teacher: kd teacher fit-head",
        )


def _check_shapes(path: Path, head: Head) -> None:
    rows = head.weight.shape[0] if head.weight.ndim == 2 else -1
    names = rows if head.classes is None else len(head.classes)
    if not all(bool(value.isfinite().all()) for value in head._tensors().values()):
        raise Damage(f"{path} has weights that are NaN or infinite", hint="fit the head again, or fetch the file again")
    norms = [value.shape for value in (head.norm_weight, head.norm_bias) if value is not None]
    if head.bias.shape != (rows,) or names != rows or any(shape != head.weight.shape[1:] for shape in norms):
        raise UsageError(
            f"{path.name}: weight {tuple(head.weight.shape)}, bias {tuple(head.bias.shape)} and {names} class names do not fit"
        )
