"""What every file of truths can do once it is open, and what such files are called."""

from typing import Any, Protocol

from kdcache.images.unique import Lookup

ARROW, LINES = "truths.arrow", "truths.jsonl"
IDS = "image_id"
"""The column that says whose truths a row has."""


class Table(Protocol):
    """A file of truths that is open."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Its columns but the ids."""

    @property
    def lookup(self) -> Lookup:
        """From an id to its row."""

    def id_at(self, row: int) -> str:
        """The id of a row."""

    def value(self, row: int, name: str) -> Any:
        """The plain value of one column in one row; None where there is none."""

    def place(self, row: int) -> str:
        """A row in words, for messages: `line 7 of DIR/truths.jsonl`."""
