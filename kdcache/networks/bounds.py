"""Bounds of the numbers a network is built from, so that no file can request one that no machine holds."""

from typing import Annotated

from pydantic import Field

MOST_WEIGHTS = 1 << 30
"""Numbers in a network that a file may request."""
MOST_SIDE = 4096
"""Pixels along a side of its input."""
MOST_LAYERS = 256
MOST_WIDTH = 1 << 16
Side = Annotated[int, Field(ge=1, le=MOST_SIDE)]
Layers = Annotated[int, Field(ge=1, le=MOST_LAYERS)]
Width = Annotated[int, Field(ge=1, le=MOST_WIDTH)]
