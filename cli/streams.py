"""The standard streams, whatever they lead to.

A closed one leads to nowhere, so that no file or pipe of the work gets its number. stderr never fails: talk that cannot be
heard is dropped. stdout fails once, and the command with it. Both write letters that they have no code for as escapes.
"""

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STDIN, STDOUT, STDERR = 0, 1, 2


class _Talk(io.FileIO):
    """A file that takes everything, and drops what it cannot write."""

    def write(self, data: "ReadableBuffer") -> int:
        """Write what can be written."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


class _Answer(io.FileIO):
    """A file that fails at its first failure and drops what comes after: nothing is left to fail once more at the exit."""

    _failed = False

    def write(self, data: "ReadableBuffer") -> int:
        """Write, unless that has failed before."""
        if self._failed:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except OSError:
            self._failed = True
            raise


def prepare() -> None:
    """Put them in place of Python's own."""
    for number in (STDIN, STDOUT, STDERR):
        _open_if_closed(number)
    sys.stdout = _text(_Answer(STDOUT, "w", closefd=False), sys.stdout)
    sys.stderr = _text(_Talk(STDERR, "w", closefd=False), sys.stderr, at_once=True)


def _open_if_closed(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        nowhere = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, and so this one
        os.set_inheritable(nowhere, True)


def _text(file: io.FileIO, python: TextIO | None, *, at_once: bool = False) -> TextIO:
    """`python`: what Python made of the stream, None where it was closed; its encoding is kept."""
    encoding = "utf-8" if python is None else python.encoding
    line = at_once or file.isatty()
    return io.TextIOWrapper(io.BufferedWriter(file), encoding, "backslashreplace", line_buffering=line)
