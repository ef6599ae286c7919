"""Limits of truths, and the small types that truths are made of.

A file of truths may come from a stranger. All limits are far above what the usual document datasets need.
"""

from typing import Annotated

from pydantic import AfterValidator, Field

MOST_LETTERS = 1_000_000
"""Letters of the text of an image, its description, a question or an answer."""
MOST_WORD_LETTERS = 10_000
"""Letters of a word, of a table cell, of the name of an entity or of a class of regions."""
MOST_ITEMS = 9_000
"""Words, regions, cells or questions of one image, such as a newspaper page."""
MOST_ANSWERS = 1_000
"""Answers to one question."""
MOST_CORNERS = 1_000
"""Corners of a polygon."""
MOST_CELLS = 100_000
"""Rows, or columns, of a table."""
MOST_LEVELS = 32
"""Deepest nesting of objects and lists in a parse."""
MOST_ROW_BYTES = 16 << 20
"""Bytes of all truths of one image in a file."""

Text = Annotated[str, Field(max_length=MOST_LETTERS)]
Short = Annotated[str, Field(max_length=MOST_WORD_LETTERS)]
Name = Annotated[str, Field(min_length=1, max_length=MOST_WORD_LETTERS)]
Position = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
"""A fraction of the image's width or height."""
Point = tuple[Position, Position]
"""x and y as fractions of width and height, from the upper left corner."""


def _ordered(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    if left > right or top > bottom:
        raise ValueError(f"should be left, top, right, bottom, and {box} ends before it starts")
    return box


Box = Annotated[tuple[Position, Position, Position, Position], AfterValidator(_ordered)]
"""Left, top, right, bottom as fractions of width and height."""
Polygon = Annotated[tuple[Point, ...], Field(min_length=3, max_length=MOST_CORNERS)]
"""Corners in order."""
