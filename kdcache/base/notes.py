"""Remarks a person should read, each with a kind, so that no program need look at the words.

notes = Notes()
notes.add("no --recipe: using `own`")
notes.add("no --val: the student is not judged", UNJUDGED)
[note.text for note in notes if note.kind != UNJUDGED]
"""

from typing import NamedTuple


class Note(NamedTuple):
    """One remark."""

    text: str
    """One line, as a person reads it."""
    kind: str = ""
    """What it is about, where a program has to tell; empty where none has."""


class Notes(list[Note]):
    """Remarks in the order they came up."""

    def add(self, text: str, kind: str = "") -> None:
        """One more."""
        self.append(Note(text, kind))
