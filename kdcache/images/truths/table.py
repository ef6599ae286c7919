"""The contract of an open file of truths, and the names of such files."""

from typing import Any, Protocol

from kdcache.images.unique import Lookup

ARROW, LINES = "truths.arrow", "truths.jsonl"
IDS = "image_id"
"""Name of the column with the image id of each row."""


class Table(Protocol):
    """An open file of truths."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of its columns, without the ids."""

    @property
    def lookup(self) -> Lookup:
        """Finds the row of an image id."""

    def id_at(self, row: int) -> str:
        """The image id of a row."""

    def value(self, row: int, name: str) -> Any:
        """The plain value of a column in a row; None if it has none."""

    def place(self, row: int) -> str:
        """A description of a row for messages: `line 7 of DIR/truths.jsonl`."""
