"""Specification of a student's network, written into its run: enough to rebuild it without its recipe.

`StudentSpec` has the fields of all students; each family adds its own (`tinyvit/spec.py`).
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
    """A student network, its input and its classes."""

    left_out: ClassVar[frozenset[str]] = frozenset()
    """Fields that are written only if they were set: runs of an earlier release have them, new ones do not."""
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
        """A few words about the architecture, for lists and error messages."""
        return self.family

    @property
    def begun(self) -> str:
        """Origin of the initial weights if the student starts from neither a run nor a file."""
        return RANDOM

    @property
    def details(self) -> dict[str, str]:
        """Further numbers for `kd student show` and the report: label -> text."""
        return {}

    @property
    def layers(self) -> int:
        """Number of layers in the output `layers`; 0: the family has no such output."""
        return 0

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = handler(self)
        spared = self.left_out - self.model_fields_set
        return {name: value for name, value in fields.items() if name not in spared}

    def counted(self) -> dict[str, Any]:
        """The fields that identify the network and its preprocessing, from which a digest is made (`runs/find_teacher.py`).

        A field added after the first release is included only where it differs from its default.
        """
        return counted_fields(self)


def counted_fields(record: BaseModel) -> dict[str, Any]:
    """The identifying fields of a record, nested records included."""
    fields = type(record).model_fields
    return {name: _value(its) for name, its in record if name in FIRST or its != fields[name].default}


def _value(value: Any) -> Any:
    return counted_fields(value) if isinstance(value, BaseModel) else value
