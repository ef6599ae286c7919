"""Replaces the standard streams by ones that are safe when they are closed, full or of another encoding.

A closed stream is opened on /dev/null, so that no other file gets its number. Writing to stderr never fails: what cannot be
written is dropped. Writing to stdout fails once, and with it the command. Characters outside the encoding are escaped.
"""

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STDIN, STDOUT, STDERR = 0, 1, 2


class _Talk(io.FileIO):
    """A file for stderr, which drops what it cannot write."""

    def write(self, data: "ReadableBuffer") -> int:
        """Write, or drop the data if that fails."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


class _Answer(io.FileIO):
    """A file for stdout, which raises at its first failure and then drops all data, so that exit does not fail again."""

    _failed = False

    def write(self, data: "ReadableBuffer") -> int:
        """Write, or drop the data if writing has failed before."""
        if self._failed:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except OSError:
            self._failed = True
            raise


def prepare() -> None:
    """Replace Python's standard streams."""
    for number in (STDIN, STDOUT, STDERR):
        _open_if_closed(number)
    sys.stdout = _text(_Answer(STDOUT, "w", closefd=False), sys.stdout)
    sys.stderr = _text(_Talk(STDERR, "w", closefd=False), sys.stderr, at_once=True)


def _open_if_closed(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        nowhere = os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
        os.set_inheritable(nowhere, True)


def _text(file: io.FileIO, python: TextIO | None, *, at_once: bool = False) -> TextIO:
    """A text stream with the encoding of `python`, Python's own stream, which is None if it was closed."""
    encoding = "utf-8" if python is None else python.encoding
    line = at_once or file.isatty()
    return io.TextIOWrapper(io.BufferedWriter(file), encoding, "backslashreplace", line_buffering=line)
