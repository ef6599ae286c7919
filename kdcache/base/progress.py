"""How long-running work reports its progress. The library calls; the command line (or a notebook, or nobody) shows."""

from typing import Protocol


class Progress(Protocol):
    """Where a build, a verification or a training reports to. Every method returns at once."""

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """A stage begins: `total` images, of which `done` need no work."""

    def advance(self, images: int, *, bytes: int = 0, rejected: int = 0) -> None:
        """More images are through; `bytes` were written, `rejected` of the images could not be read."""

    def aside(self, text: str) -> None:
        """Set the text shown beside the numbers from now on, such as a loss."""

    def doing(self, what: str) -> None:
        """Something begins of unknown duration: listing a folder, loading a teacher."""

    def note(self, text: str) -> None:
        """Something a person should read, in one line."""

    def warn(self, text: str) -> None:
        """Something that may cost a person time or money, in one line."""

    def finish(self) -> None:
        """The stage is over."""


class Silent:
    """Progress that nobody watches."""

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """Say nothing."""

    def advance(self, images: int, *, bytes: int = 0, rejected: int = 0) -> None:
        """Say nothing."""

    def aside(self, text: str) -> None:
        """Say nothing."""

    def doing(self, what: str) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        """Say nothing."""

    def finish(self) -> None:
        """Say nothing."""
