"""Shows how far long work is: a live line on a terminal, a plain line every 30 seconds elsewhere, nothing when told so."""

import os
import sys
import time
from typing import TYPE_CHECKING

from cli.text import duration, size
from cli.text import speed as told
from kdcache.progress import Progress, Silent

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from cli.output import Ui

EVERY_SECONDS = 30.0
_RECENT = 20.0


def show_progress(ui: "Ui") -> Progress:
    """The progress this run should have: live, lines, or only the notes."""
    if ui.quiet or os.environ.get("KD_NO_PROGRESS") == "1":
        return _Notes(ui)
    return _Live(ui) if sys.stderr.isatty() and not ui.verbose else _Lines(ui)


class _Notes(Silent):
    """No progress, but notes are still passed on."""

    def __init__(self, ui: "Ui") -> None:
        self._ui = ui

    def note(self, text: str) -> None:
        self._ui.note(text)


class Count:
    """What went through so far in one stage, and how fast of late."""

    def __init__(self, stage: str, total: int, done: int) -> None:
        self.stage, self.total, self.done = stage, total, done
        self.aside = ""
        self.bytes = self.rejected = 0
        self._marks = [(time.monotonic(), done)]

    def add(self, images: int, bytes: int, rejected: int) -> None:
        """More went through."""
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
        """Images a second over the last 20 seconds."""
        then, before = self._marks[0]
        seconds = time.monotonic() - then
        return (self.done - before) / seconds if seconds > 0 else 0.0

    def cells(self) -> list[str]:
        """Images, images/s, GB written, time left, rejected, and what stands aside."""
        speed = self.rate
        cells = [f"{self.done:,}/{self.total:,}", told(speed)]
        if self.bytes:
            cells.append(f"{size(self.bytes)} written")
        if speed and self.done < self.total:
            cells.append(f"{duration((self.total - self.done) / speed)} left")
        if self.rejected:
            cells.append(f"{self.rejected:,} rejected")
        return [*cells, self.aside] if self.aside else cells


class _Lines:
    """One plain line every 30 seconds and one at the end of a stage that took longer than that."""

    def __init__(self, ui: "Ui") -> None:
        self._ui = ui
        self._count = Count("", 0, 0)
        self._told = 0.0

    def start(self, stage: str, total: int, done: int = 0) -> None:
        self._count, self._told = Count(stage, total, done), time.monotonic()

    def advance(self, images: int, *, bytes: int = 0, rejected: int = 0) -> None:
        self._count.add(images, bytes, rejected)
        if time.monotonic() - self._told >= EVERY_SECONDS:
            self._told = time.monotonic()
            self._ui.note(f"{self._count.stage}: {' · '.join(self._count.cells())}")

    def aside(self, text: str) -> None:
        self._count.aside = text

    def note(self, text: str) -> None:
        self._ui.note(text)

    def finish(self) -> None:
        """The command's answer follows; there is nothing to add."""


class _Live:
    """A bar with live numbers on stderr; it vanishes when the stage is over, for the answer says what came of it."""

    def __init__(self, ui: "Ui") -> None:
        self._ui = ui
        self._count = Count("", 0, 0)
        self._bars: Bars | None = None

    def start(self, stage: str, total: int, done: int = 0) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars

        self.finish()
        self._count = Count(stage, total, done)
        console = Console(stderr=True, no_color=not self._ui.colored(sys.stderr), highlight=False)
        columns = TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[cells]}")
        self._bars = Bars(*columns, console=console, transient=True, refresh_per_second=4)
        self._bars.add_task(stage, total=max(total, 1), completed=done, cells=" · ".join(self._count.cells()[:1]))
        self._bars.start()

    def advance(self, images: int, *, bytes: int = 0, rejected: int = 0) -> None:
        self._count.add(images, bytes, rejected)
        if self._bars:
            cells = " · ".join(self._count.cells())
            self._bars.update(self._bars.task_ids[0], completed=self._count.done, cells=cells)

    def aside(self, text: str) -> None:
        self._count.aside = text

    def note(self, text: str) -> None:
        if self._bars:
            self._bars.console.print(text, markup=False, soft_wrap=True)
        else:
            self._ui.note(text)

    def finish(self) -> None:
        if self._bars:
            self._bars.stop()
            self._bars = None
