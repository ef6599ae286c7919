"""Choose the head for the logits of a teacher."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from kdcache.errors import Unavailable, UsageError
from kdcache.signals.teacher import Weights
from kdcache.teachers.heads.heads import Head, check_fits, load_head
from kdcache.teachers.loading.networks import seeded, state_record
from kdcache.teachers.request import Request


@dataclass(frozen=True)
class Classifier:
    """A head on the embedding, with its record and a description."""

    head: Head
    tap: str
    record: Weights | None = None
    """Record of the fitted head; None if the head is part of the teacher's own weights."""


def choose_classifier(
    request: Request, *, weights: Weights, dim: int | None = None, own: Head | None = None
) -> Classifier | None:
    """The requested head, else the checkpoint's own head; None if there is neither.

    `dim`: length of the embedding, for teachers that get a random head with random weights.
    """
    if "logits" not in request.signals:
        return None
    if request.head is not None:
        path = Path(request.head).expanduser()
        if not path.is_file():
            raise Unavailable(f"no head at {path}", hint="`kd teacher fit-head` writes one")
        head, record = load_head(path)
        check_fits(head, name=request.name, weights=weights)
        return Classifier(head, "separate linear head on the embedding", record)
    if own is not None:
        return Classifier(own, "the checkpoint's own linear head on the embedding")
    return _random(request, dim) if request.random and dim else None


def _random(request: Request, dim: int) -> Classifier:
    """A random head, to measure the cost of logits before there is a fitted one."""
    if request.class_names is None:
        raise UsageError(
            f"the number of classes is not known for random weights of {request.name}",
            hint="pass --classes FILE, or images in class folders",
        )
    with seeded() as stamp:
        layer = nn.Linear(dim, len(request.class_names))
    with torch.no_grad():
        head = Head(layer.weight.clone(), layer.bias.clone(), classes=request.class_names)
    return Classifier(head, "random linear head on the embedding", state_record(layer, stamp))
