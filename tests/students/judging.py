"""A student small enough to judge in a test, and sources it is judged on. A module, because render workers import it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from kdcache.base.progress import Silent
from kdcache.images.listing import Lister
from kdcache.images.source import Listing
from kdcache.views.recipe import Plain
from students.families.spec import StudentSpec
from students.judging.examples import Examples
from students.judging.judged import JudgedStudent
from students.judging.pictures import labelled
from students.judging.registry import TASKS, settings_of
from tests.views.sources import Painted


def spec_of(*classes: str, size: int = 16) -> StudentSpec:
    return StudentSpec(
        name="tiny",
        family="tinyvit",
        input=(size, size),
        mean=(0.5, 0.4, 0.3),
        std=(0.25, 0.2, 0.3),
        geometry=Plain(fit="squash"),
        classes=classes,
    )


class Tiny(nn.Module):
    """A linear student with BatchNorm and dropout, so that a wrong mode shows. Speaks timm's dialect."""

    def __init__(self, classes: int, size: int = 16, width: int = 24) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Linear(3 * size * size, width)
        self.norm = nn.BatchNorm1d(width)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(width, classes)

    def forward_features(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.norm(self.body(pixels.flatten(1)))

    def forward_head(self, features: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        kept = self.drop(features)
        return kept if pre_logits else self.head(kept)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.forward_head(self.forward_features(pixels))


@dataclass(frozen=True)
class Labelled(Painted):
    """Painted images with labels."""

    ids: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()
    classes: tuple[str, ...] | None = field(default=None)

    def spec(self) -> dict[str, Any]:
        return {"kind": "labelled"}

    def scan(self) -> Listing:
        lister = Lister()
        for image_id, label in zip(self.ids, self.labels, strict=True):
            lister.add(image_id, 1, label)
        return lister.finish(labelled=True, classes=self.classes)


def cycling(count: int, classes: tuple[str, ...] | None, of: int = 0) -> Labelled:
    """`count` images whose classes take turns."""
    number = of or len(classes or ())
    return Labelled(
        ids=tuple(f"image-{row}" for row in range(count)),
        labels=tuple(row % number for row in range(count)),
        classes=classes,
    )


def noise(rows: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.Generator(np.random.Philox(seed)).normal(size=(rows, width))


def student_of(network: Any, spec: Any, *, precision: Any = "float32", batch: int = 8) -> JudgedStudent:
    return JudgedStudent(network, spec, "cpu", precision, batch)


def examples_of(source: Any, bank: Any = None, workers: int = 0) -> Examples:
    return Examples(labelled(source), lambda wanted: labelled(bank if wanted is None else wanted), workers)


def judged_by(
    task: str,
    network: Any,
    spec: Any,
    source: Any,
    *,
    bank: Any = None,
    settings: Any = None,
    workers: int = 0,
    **how: Any,
) -> Any:
    """The report of one task."""
    judges = TASKS.get(task)
    with examples_of(source, bank, workers) as examples:
        wanted = settings_of(judges) if settings is None else settings
        return judges.judge(student_of(network, spec, **how), examples, wanted, Silent())
