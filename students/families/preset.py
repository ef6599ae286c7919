"""Fields that every file in configs/students has; each family adds its own."""

from typing import Annotated

from pydantic import Field

from kdcache.base.strict import Strict
from kdcache.networks.bounds import Side
from kdcache.views.recipe import Geometry, Plain, on
from students.base.contracts import Request

Positive = Annotated[float, Field(gt=0.0)]


class Preset(Strict):
    """A student preset: everything but the classes and the chosen input size."""

    family: str
    """Name of the student family that reads the rest of this file (kd student list)."""
    recipe: str | None = None
    """Name of the recommended recipe; None: the default recipe, which depends on the images."""
    input: Side
    """Side length of the recommended input, in pixels."""
    mean: tuple[float, float, float]
    std: tuple[Positive, Positive, Positive]
    geometry: Geometry
    """How an unaugmented image is resized to the input."""
    enlarged: Geometry
    """How an unaugmented image is resized to an input larger than `input`."""

    def geometry_for(self, request: Request, side: int) -> Plain:
        """How an unaugmented image is resized to an input of that size: as in training, else as the preset says."""
        own = self.enlarged if side > self.input else self.geometry
        return request.geometry or on(own, request.background)
