"""What identifies a student's network: written into its run, enough to build it again without the recipe it was trained with.

`StudentSpec` is what all students have; each family adds its own numbers in a record of its own (`tinyvit/spec.py`).
"""

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer

from kdcache.base.strict import Strict
from kdcache.networks.bounds import Side
from kdcache.views.recipe import Plain

MOST_CLASSES = 1 << 17
"""Largest number of classes of a student."""
RANDOM = "random weights"
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
DropPath = Annotated[float, Field(ge=0.0, lt=1.0)]
FIRST = frozenset({
    "name", "family", "network", "windows", "blocks", "drop_path", "input", "mean", "std", "geometry", "classes",
    "depth", "heads", "hidden", "alibi", "begin", "encoder", "image", "patch", "dim", "prenet", "targets",
    "kind", "fit", "crop_pct", "interpolation",
})  # fmt: skip
"""Fields that specifications and their nested records had in the first release, which are always part of the
identity."""


class StudentSpec(Strict):
    """A small network, the pixels it is given and the classes it names."""

    left_out: ClassVar[frozenset[str]] = frozenset()
    """Fields that are written only if they are set: runs of an earlier release have them, new ones do not."""
    name: str
    """Name of the preset it was made from, such as `tinyvit-5m`."""
    family: str
    """Name of its family, such as `tinyvit`."""
    input: tuple[Side, Side]
    """Height and width of its input, in pixels."""
    mean: tuple[Finite, Finite, Finite]
    """Mean of the three channels that is subtracted from pixels between 0 and 1."""
    std: tuple[Positive, Positive, Positive]
    """Standard deviation of the three channels by which pixels are divided."""
    geometry: Plain
    """How an unaugmented image is resized to the input."""
    classes: Annotated[tuple[str, ...], Field(max_length=MOST_CLASSES)]
    """Names of the classes in the order of the logits; empty if there is no classifier."""

    @property
    def described(self) -> str:
        """What the network is made of, in a few words, for lists and errors."""
        return self.family

    @property
    def begun(self) -> str:
        """What its weights are before the first step, when it begins with nobody else's."""
        return RANDOM

    @property
    def details(self) -> dict[str, str]:
        """Further numbers for `kd student show` and the report: label -> text."""
        return {}

    @property
    def layers(self) -> int:
        """How many layers its output `layers` has; 0: its family gives no such output."""
        return 0

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = handler(self)
        spared = self.left_out - self.model_fields_set
        return {name: value for name, value in fields.items() if name not in spared}

    def counted(self) -> dict[str, Any]:
        """What a digest of the network and of how it is shown images is made of (`runs/find_teacher.py`).

        A field that came later counts where it differs from its default, which means what runs did before.
        """
        return counted_fields(self)


def counted_fields(record: BaseModel) -> dict[str, Any]:
    """The fields of a record that count, those of the records in it too."""
    fields = type(record).model_fields
    return {name: _value(its) for name, its in record if name in FIRST or its != fields[name].default}


def _value(value: Any) -> Any:
    return counted_fields(value) if isinstance(value, BaseModel) else value
