"""Validation as a recipe sets it: task, sets of images, steps between validations, and which score selects the best weights.

judge: {task: retrieve, every: 5000}                    one set: --val, or the held-out split beside the training images
judge:                                                  several, each with a bank of its own
  every: 5000
  task: retrieve
  sets:
    - {name: cifar10, bank: train-split}                --val cifar10:DIR gives its location
    - {name: digits, data: "shapes:split=val", bank: 500}
  best: cifar10                                         default: the mean of all
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from kdcache.base.strict import Strict
from students.base.types import Count

MEAN = "mean"
"""Value of `best` that stands for the mean score over all sets."""
NAME = r"[A-Za-z][A-Za-z0-9_-]{0,59}"
SetName = Annotated[str, Field(pattern=rf"^{NAME}$")]
Bank = Count | Annotated[str, Field(min_length=1, max_length=4096)] | None


class JudgedSet(Strict):
    """One set of validation images."""

    name: SetName
    """Name of the set in metrics.jsonl and in `--val NAME=SOURCE`."""
    data: str | None = None
    """Location of the images; None: given with `--val`, or the student is not judged on this set."""
    task: str | None = None
    """Task of this set; None: the task given for all sets."""
    bank: Bank = None
    """Images that the task compares with, where it compares: a number of training images, `train-split` or a source;
    None: all training images."""
    settings: dict[str, Any] = {}
    """Settings of the task that differ from its defaults."""


class Judged(Strict):
    """How a student is judged while it is trained; the weights with the best score are kept."""

    task: Annotated[str, Field(min_length=1, max_length=100)] = "classify"
    every: Count | None = None
    """Steps between validations; None: an epoch, or a twentieth of all steps where that is longer."""
    bank: Bank = None
    """Images that the task compares with, where it compares: a number of training images, `train-split` or a source;
    None: all training images."""
    settings: dict[str, Any] = {}
    """Settings of the task that differ from its defaults."""
    sets: tuple[JudgedSet, ...] = ()
    """Validation sets; when empty, the images of `--val`, or the held-out split beside the training images, are the
    only set."""
    best: Annotated[str, Field(max_length=100)] = MEAN
    """Which score selects the best weights: `mean` of all sets, or the name of one set."""

    @model_validator(mode="after")
    def _names_its_sets(self) -> Self:
        names = [each.name for each in self.sets]
        if len(set(names)) < len(names) or MEAN in names:
            raise ValueError(f"sets are named {', '.join(names)}: names must differ, and `{MEAN}` is reserved")
        if self.best != MEAN and names and self.best not in names:
            raise ValueError(
                f"best is {self.best}, which is not one of the sets; choose {', '.join(names)} or `{MEAN}`"
            )
        return self

    @model_serializer(mode="wrap")
    def _leave_out_unused(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Fields added after the first release are written only where they differ from their default."""
        later: Mapping[str, Any] = {"settings": {}, "sets": [], "best": MEAN}
        plain: dict[str, Any] = write(self)
        return {k: v for k, v in plain.items() if k not in later or (list(v) if k == "sets" else v) != later[k]}


def named(text: str) -> tuple[str | None, str]:
    """`cifar10=DIR` -> ("cifar10", "DIR"); a text without a name is a source: `DIR` -> (None, "DIR")."""
    found = re.fullmatch(rf"({NAME})=(.+)", text, re.DOTALL)
    return (found[1], found[2]) if found else (None, text)
