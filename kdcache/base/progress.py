"""How long-running work reports its progress. The library calls; the command line (or a notebook, or nobody) shows."""

from typing import Protocol


class Progress(Protocol):
    """Receives the progress of a build, a verification or a training. Every method returns at once."""

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """A stage begins: `total` images, of which `done` are done already."""

    def advance(self, images: int, *, bytes: int = 0, rejected: int = 0) -> None:
        """`images` more images are done; `bytes` were written, `rejected` of the images could not be read."""

    def aside(self, text: str) -> None:
        """Set the text shown beside the numbers from now on, such as a loss."""

    def doing(self, what: str) -> None:
        """Work of unknown duration begins: listing a folder, loading a teacher."""

    def note(self, text: str) -> None:
        """Show a remark of one line."""

    def warn(self, text: str) -> None:
        """Show a one-line warning: something may cost the user time or money."""

    def finish(self) -> None:
        """The stage has ended."""


class Silent:
    """A `Progress` that shows nothing."""

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """Show nothing."""

    def advance(self, images: int, *, bytes: int = 0, rejected: int = 0) -> None:
        """Show nothing."""

    def aside(self, text: str) -> None:
        """Show nothing."""

    def doing(self, what: str) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""

    def warn(self, text: str) -> None:
        """Show nothing."""

    def finish(self) -> None:
        """Show nothing."""
