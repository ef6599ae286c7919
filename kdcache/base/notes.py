"""Remarks a person should read, each with a kind, so that no program has to parse their text.

notes = Notes()
notes.add("no --recipe: using `augment`")
notes.add("no --val: the student is not judged", UNJUDGED)
[note.text for note in notes if note.kind != UNJUDGED]
"""

from typing import NamedTuple


class Note(NamedTuple):
    """One remark."""

    text: str
    """One line, as a person reads it."""
    kind: str = ""
    """What the remark is about, for programs that filter remarks; empty when none does."""


class Notes(list[Note]):
    """Remarks in the order they came up."""

    def add(self, text: str, kind: str = "") -> None:
        """Append a remark."""
        self.append(Note(text, kind))
