"""Truths with a position in the image: words, regions of its layout, cells of tables. Positions are fractions of its sides."""

from typing import Annotated

from pydantic import Field, model_validator

from kdcache.base.strict import Strict
from kdcache.images.truths.bounds import MOST_CELLS, MOST_ITEMS, Box, Name, Polygon, Short


class Word(Strict):
    """A word, its box, and the entity it belongs to."""

    text: Short
    box: Box
    entity: Name | None = None
    """Tag of the entity it belongs to, such as `B-QUESTION` or `total.price`."""


class WordsTruth(Strict):
    """Words of the image in reading order."""

    words: Annotated[tuple[Word, ...], Field(max_length=MOST_ITEMS)]


class Region(Strict):
    """A region of the layout: its class, and its box or its outline."""

    label: Name
    """Class of the region, such as `Table` or `Caption`."""
    box: Box | None = None
    polygon: Polygon | None = None

    @model_validator(mode="after")
    def _one_place(self) -> "Region":
        if (self.box is None) == (self.polygon is None):
            raise ValueError("should have a box or a polygon" + ("" if self.box is None else ", not both"))
        return self


class LayoutTruth(Strict):
    """Regions of the image."""

    layout: Annotated[tuple[Region, ...], Field(max_length=MOST_ITEMS)]


class Cell(Strict):
    """A cell of a table."""

    row: Annotated[int, Field(ge=0, lt=MOST_CELLS)]
    """First row of the table that it covers, counted from 0."""
    column: Annotated[int, Field(ge=0, lt=MOST_CELLS)]
    """First column of the table that it covers, counted from 0."""
    rows: Annotated[int, Field(ge=1, le=MOST_CELLS)] = 1
    """Number of rows that it covers."""
    columns: Annotated[int, Field(ge=1, le=MOST_CELLS)] = 1
    """Number of columns that it covers."""
    text: Short = ""
    header: bool = False
    """Whether it is a header of the cells below or beside it."""
    box: Box | None = None


class CellsTruth(Strict):
    """Cells of the table in the image."""

    cells: Annotated[tuple[Cell, ...], Field(max_length=MOST_ITEMS)]
