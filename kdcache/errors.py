"""The errors that a user can cause or meet, each with its exit code.

A message is one line and names the thing and both values; the hint is one command or one action that solves the problem. When
there are several mistakes, they are listed in `details`. Any other exception is a bug in kd and exits with 1.
"""

from typing import Any, ClassVar


class KDError(Exception):
    """A failure with a one-line message, a hint and an exit code."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details

    def __str__(self) -> str:
        """The message and, when there are several mistakes, each of them on a line below."""
        return "\n  ".join([self.message, *self.details.get("mistakes", ())])

    @property
    def kind(self) -> str:
        """The name of the error that a script can match."""
        return type(self).__name__


class UsageError(KDError, ValueError):
    """The command, a setting or a configuration file is wrong."""

    exit_code = 2


class Incomplete(KDError):
    """The work is done as far as possible, but some of it is missing."""

    exit_code = 3


class Damage(KDError):
    """A file does not contain the bytes that were written to it."""

    exit_code = 4


class Unavailable(KDError):
    """A source, a teacher or an optional library cannot be reached."""

    exit_code = 5


class Mismatch(KDError):
    """Two things that were named together do not belong together: cache and dataset, plan and teacher, format and reader."""

    exit_code = 6


class Locked(KDError):
    """Another process is at work on the same cache."""

    exit_code = 7


class StorageError(KDError):
    """The disk is full, or refuses to read or write; finished parts are safe."""

    exit_code = 8


class OutOfMemory(StorageError):
    """A device has too little memory even for the smallest piece of the work."""


class Drift(KDError):
    """Rendering or computing again gives another result than before, because the images, libraries or teacher have changed."""

    exit_code = 9


class BadImage(KDError):
    """One image cannot be used. Its row is marked and the build goes on."""

    exit_code = 3
