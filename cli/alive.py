"""Shows that a command is still working when it has printed nothing for two seconds, as while it loads a library.

On a terminal, a line says what the command is doing and for how long; the next output replaces it. Elsewhere a plain line is
printed every 30 seconds.
"""

import sys
import threading
import time
from collections.abc import Callable

from cli.shown import on_a_line
from cli.text import duration

PATIENCE = 2.0
"""Seconds without output after which a line is shown on a terminal."""
ELSEWHERE = 30.0
"""Seconds without output after which a line is printed elsewhere, such as to a log."""
_TICK = 0.25
_CLEAR = "\r\x1b[2K"


class Alive:
    """A thread that prints a line when there was no output for some time. `say` prints a line; `live`: stderr is a terminal."""

    def __init__(self, say: Callable[[str], None], *, live: bool) -> None:
        self._say, self._live = say, live
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._since = self._last = time.monotonic()
        self._what: str | None = None
        self._shown = self._held = False

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._watch, name="kd-alive", daemon=True).start()

    def stop(self) -> None:
        """Stop the thread, because the command is over."""
        self._over.set()
        self.before_output()

    def doing(self, what: str) -> None:
        """Set the text that is shown if the work takes long."""
        with self._lock:
            self.before_output()
            self._what = on_a_line(what)

    def before_output(self) -> None:
        """Called before anything is printed: removes the line and starts counting seconds again."""
        with self._lock:
            if self._shown:
                self._shown = False
                sys.stderr.write(_CLEAR)
                sys.stderr.flush()
            self._what, self._since = None, time.monotonic()
            self._last = self._since

    def hold(self, held: bool) -> None:
        """Pause while a progress bar is shown."""
        with self._lock:
            self.before_output()
            self._held = held

    def _watch(self) -> None:
        while not self._over.wait(_TICK):
            with self._lock:
                now = time.monotonic()
                if self._held or self._over.is_set() or now - self._last < (PATIENCE if self._live else ELSEWHERE):
                    continue
                self._show(f"{self._what or _loading() or 'working'} … {duration(now - self._since)}", now)

    def _show(self, text: str, now: float) -> None:
        if self._live:
            self._shown = True
            sys.stderr.write(f"{_CLEAR}{text}")
            sys.stderr.flush()
            return
        what, since = self._what, self._since
        self._say(text)
        self._what, self._since, self._last = what, since, now


def _loading() -> str | None:
    """`loading NAME` while a large library is being imported, else None."""
    for name in ("torch", "transformers", "timm"):
        spec = getattr(sys.modules.get(name), "__spec__", None)
        if getattr(spec, "_initializing", False):
            return f"loading {name}"
    return None
