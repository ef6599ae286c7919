"""Limits of the numbers that a network is built from, so that a file cannot request a network that fits no machine."""

from typing import Annotated

from pydantic import Field

MOST_WEIGHTS = 1 << 30
"""Most weights of a network that a file may request."""
MOST_SIDE = 4096
"""Largest side length of its input, in pixels."""
MOST_LAYERS = 256
MOST_WIDTH = 1 << 16
Side = Annotated[int, Field(ge=1, le=MOST_SIDE)]
Layers = Annotated[int, Field(ge=1, le=MOST_LAYERS)]
Width = Annotated[int, Field(ge=1, le=MOST_WIDTH)]
