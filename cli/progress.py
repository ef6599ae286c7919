"""Shows the progress of long work: a bar on a terminal, a plain line every 30 seconds elsewhere, nothing with -q."""

import os
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

from cli.shown import on_a_line
from cli.text import duration, size
from cli.text import speed as per_second
from kdcache.base.progress import Progress, Silent

if TYPE_CHECKING:
    from rich.progress import Progress as Bars


EVERY_SECONDS = 30.0
WIDE, WIDE_BAR, NARROW_BAR = 90, 24, 10
"""Width of a terminal from which the wide bar is used, and widths of the two bars, in columns."""
_BETWEEN = " · "
_RECENT = 20.0


class Screen(Protocol):
    """The methods of `Ui` that progress uses."""

    quiet: int
    verbose: int

    def doing(self, what: str) -> None:
        """Set the text that is shown if the work takes long."""

    def note(self, text: str) -> None:
        """Print a note."""

    def warn(self, text: str) -> None:
        """Print a warning."""

    def hold(self, held: bool) -> None:
        """Whether a bar is on the screen; other lines wait until it is gone."""

    def colored(self, stream: Any) -> bool:
        """Whether colours are used on a stream."""


def show_progress(ui: "Screen") -> Progress:
    """The kind of progress for this terminal and these options: a bar, lines, or notes only."""
    if ui.quiet or os.environ.get("KD_NO_PROGRESS") == "1":
        return _Notes(ui)
    return _Live(ui) if sys.stderr.isatty() and not ui.verbose else _Lines(ui)


class _Notes(Silent):
    """No progress, but notes are still passed on."""

    def __init__(self, ui: "Screen") -> None:
        self._ui = ui

    def doing(self, what: str) -> None:
        self._ui.doing(what)

    def note(self, text: str) -> None:
        self._ui.note(text)

    def warn(self, text: str) -> None:
        self._ui.warn(text)


class Count:
    """Counts the images of one stage, and computes their recent rate."""

    def __init__(self, stage: str, total: int, done: int) -> None:
        self.stage, self.total, self.done = stage, total, done
        self.aside = ""
        self.bytes = self.rejected = 0
        self._marks = [(time.monotonic(), done)]

    def add(self, images: int, bytes: int, rejected: int) -> None:
        """Count more images."""
        self.done += images
        self.bytes += bytes
        self.rejected += rejected
        now = time.monotonic()
        if now - self._marks[-1][0] >= 0.5:
            self._marks.append((now, self.done))
            while now - self._marks[0][0] > _RECENT and len(self._marks) > 2:
                self._marks.pop(0)

    @property
    def rate(self) -> float:
        """Images per second over the last 20 seconds."""
        then, before = self._marks[0]
        seconds = time.monotonic() - then
        return (self.done - before) / seconds if seconds > 0 else 0.0

    def cells(self) -> list[str]:
        """Texts of images, images/s, bytes written, time left, rejected images, and the text of `aside`."""
        return [text for _, text in self._ranked()]

    def line(self, room: int, most: int = 6) -> str:
        """The cells that fit into `room` columns, without the least important ones; at most `most`."""
        ranked = self._ranked()[:most]
        while len(ranked) > 1 and sum(len(text) + len(_BETWEEN) for _, text in ranked) - len(_BETWEEN) > room:
            ranked.remove(max(ranked))
        return _BETWEEN.join(text for _, text in ranked)

    def _ranked(self) -> list[tuple[int, str]]:
        """(rank, text) of every cell, in order of display; the most important one has the lowest rank."""
        speed = self.rate
        cells = [(0, f"{self.done:,}/{self.total:,}"), (3, per_second(speed))]
        if self.bytes:
            cells.append((5, f"{size(self.bytes)} written"))
        if speed and self.done < self.total:
            cells.append((1, f"{duration((self.total - self.done) / speed)} left"))
        if self.rejected:
            cells.append((4, f"{self.rejected:,} rejected"))
        return [*cells, (2, on_a_line(self.aside))] if self.aside else cells


class _Lines:
    """Prints one plain line every 30 seconds."""

    def __init__(self, ui: "Screen") -> None:
        self._ui = ui
        self._count = Count("", 0, 0)
        self._shown = 0.0

    def start(self, stage: str, total: int, done: int = 0) -> None:
        self._count, self._shown = Count(stage, total, done), time.monotonic()

    def advance(self, images: int, *, bytes: int = 0, rejected: int = 0) -> None:
        self._count.add(images, bytes, rejected)
        if time.monotonic() - self._shown >= EVERY_SECONDS:
            self._shown = time.monotonic()
            self._ui.note(f"{self._count.stage}: {_BETWEEN.join(self._count.cells())}")

    def aside(self, text: str) -> None:
        self._count.aside = text

    def doing(self, what: str) -> None:
        self._ui.doing(what)

    def note(self, text: str) -> None:
        self._ui.note(text)

    def warn(self, text: str) -> None:
        self._ui.warn(text)

    def finish(self) -> None:
        """Nothing to do: the command's answer follows."""


class _Live:
    """A bar with live numbers on stderr. It is removed at the end of the stage, because the answer has the result."""

    def __init__(self, ui: "Screen") -> None:
        self._ui = ui
        self._count = Count("", 0, 0)
        self._room = WIDE
        self._bars: Bars | None = None

    def start(self, stage: str, total: int, done: int = 0) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars

        self.finish()
        self._count = Count(stage, total, done)
        console = Console(stderr=True, no_color=not self._ui.colored(sys.stderr), highlight=False)
        width = WIDE_BAR if console.width >= WIDE else NARROW_BAR
        name, cells = (TextColumn(f"{{task.{field}}}", markup=False) for field in ("description", "fields[cells]"))
        columns = name, BarColumn(bar_width=width), cells
        self._room = console.width - len(stage) - width - 3
        self._bars = Bars(*columns, console=console, transient=True, refresh_per_second=4)
        self._bars.add_task(
            on_a_line(stage), total=max(total, 1), completed=done, cells=self._count.line(self._room, 1)
        )
        self._ui.hold(True)
        self._bars.start()

    def advance(self, images: int, *, bytes: int = 0, rejected: int = 0) -> None:
        self._count.add(images, bytes, rejected)
        if self._bars:
            cells = self._count.line(self._room)
            self._bars.update(self._bars.task_ids[0], completed=self._count.done, cells=cells)

    def aside(self, text: str) -> None:
        self._count.aside = text

    def note(self, text: str) -> None:
        if self._bars:
            self._bars.console.print(on_a_line(text), markup=False, soft_wrap=True)
        else:
            self._ui.note(text)

    def doing(self, what: str) -> None:
        if not self._bars:
            self._ui.doing(what)

    def warn(self, text: str) -> None:
        if self._bars:
            self._bars.stop()  # it is drawn again below the warning
        self._ui.warn(text)
        if self._bars:
            self._bars.start()

    def finish(self) -> None:
        if self._bars:
            self._bars.stop()
            self._bars = None
            self._ui.hold(False)
