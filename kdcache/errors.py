"""Every failure a user can cause or meet, each with its exit code.

A message is one line and names the thing and both values; the hint is one command or one action that leads out. Mistakes of which
there are several stand in `details`. Anything that is not a `KDError` is a bug of ours and exits with 1.
"""

from typing import Any, ClassVar


class KDError(Exception):
    """A failure with one clear line, a way out, and an exit code of its own."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details

    def __str__(self) -> str:
        """The line, and below it each mistake of several."""
        return "\n  ".join([self.message, *self.details.get("mistakes", ())])

    @property
    def kind(self) -> str:
        """The name a script can match on."""
        return type(self).__name__


class UsageError(KDError, ValueError):
    """The command, a setting or a configuration file is wrong."""

    exit_code = 2


class Incomplete(KDError):
    """The work is done as far as it can be, but some of it is missing."""

    exit_code = 3


class Damage(KDError):
    """The bytes of a file are not those that were written."""

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
    """The disk is full, or refuses to read or write; what was sealed before is safe."""

    exit_code = 8


class OutOfMemory(StorageError):
    """A device has not the memory for even the smallest piece of the work."""


class Drift(KDError):
    """What is rendered or computed today is not what it was: the right images, libraries or teacher, but they have changed."""

    exit_code = 9


class BadImage(KDError):
    """One image cannot be used. Its row is marked and the build goes on."""

    exit_code = 3
