"""Output of commands: the result to stdout, messages to stderr, errors as one line with a hint and an exit code."""

import errno
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, Literal

from cli.alive import Alive
from cli.shown import on_a_line, plain_json, shown
from cli.stopping import Stop, watch
from kdcache.base.progress import Progress
from kdcache.errors import KDError, StorageError, UsageError

Color = Literal["auto", "always", "never"]
INTERRUPTED, BROKEN_PIPE = 130, 141
_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO}
_WRONG_PATH = {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG}
_STYLES = {"error": "1;31", "warning": "1;33", "hint": "1;36", "ok": "1;32", "faint": "2"}


class Ui:
    """Prints everything for a command: results to stdout, all else to stderr, all of it made safe by `shown`."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = list(arguments)
        self.json = "--json" in arguments
        self.quiet = 0
        self.verbose = 0
        self.given: frozenset[str] = frozenset()
        """Names of the parameters that were given on the command line, whatever their value."""
        # torchrun starts the same command several times; only the first process prints.
        self._mute = os.environ.get("RANK", "0") != "0"
        self._color: Color = "auto"
        self._progress: Progress | None = None
        self._alive: Alive | None = None

    def configure(self, *, json: bool, quiet: int, verbose: int, color: Color) -> None:
        """Set the output options of the command line."""
        self.json, self.quiet, self.verbose, self._color = json, quiet, verbose, color

    def answer(self, data: Any, text: str) -> None:
        """Print the result of the command, once: one JSON document with --json, else text."""
        self._before_output()
        try:
            if self.json:
                sys.stdout.write(_json(data, sys.stdout) + "\n")
            elif self.quiet < 2:
                sys.stdout.write(shown(text.rstrip("\n"), colored=self.colored(sys.stdout)) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            message = f"cannot write the result to stdout: {error.strerror}"
            raise StorageError(
                message, hint="the work itself is done; redirect stdout to a disk with free space"
            ) from error

    def note(self, text: str) -> None:
        """Print a note in one line; nothing with -q."""
        if not self.quiet and not self._mute:
            self._talk(on_a_line(text))

    def detail(self, text: str) -> None:
        """Print a detail, only with -v."""
        if self.verbose:
            self._talk(on_a_line(text))

    def warn(self, text: str) -> None:
        """Print a warning; nothing with -qq."""
        if self.quiet < 2:
            self._talk(f"{self.paint('warning', 'warning:', sys.stderr)} {on_a_line(text)}")

    def hint(self, text: str) -> None:
        """Print how to continue after a failure that is part of the answer; nothing with -q."""
        if not self.quiet and not self._mute:
            self._talk(f"\n{self.paint('hint', 'hint:', sys.stderr)} {on_a_line(text)}")

    def doing(self, what: str) -> None:
        """Set the text that is shown if the work takes long."""
        if self._alive:
            self._alive.doing(what)

    def hold(self, held: bool) -> None:
        """Whether a progress bar is on the screen from now on."""
        if self._alive:
            self._alive.hold(held)

    def progress(self) -> Progress:
        """A new progress display for long work."""
        from cli.progress import show_progress

        if self._progress:
            self._progress.finish()
        self._progress = show_progress(self)
        return self._progress

    def paint(self, style: str, text: str, stream: Any = None) -> str:
        """Text in colour if the stream shows colours. The text must be clear without colour as well."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self.colored(stream or sys.stdout) else text

    def colored(self, stream: Any) -> bool:
        """Whether colours are used on this stream."""
        if self._color != "auto":
            return self._color == "always"
        return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"

    def guard(self, work: Callable[[], int | None], *, resumable: bool = False, watched: bool = True) -> int:
        """Run a command and turn every error into one line and an exit code. `watched`: print a line while it prints nothing."""
        try:
            with self._watched() if watched else nullcontext():
                return work() or 0
        except KeyboardInterrupt as stop:
            code = stop.code if isinstance(stop, Stop) else INTERRUPTED
            return self._stopped(code, resumable, getattr(stop, "__notes__", []))
        except Exception as error:  # noqa: BLE001  (the one place that turns our own bugs into a line and a file)
            if watch.code is not None:  # an error after a signal is caused by the signal
                return self._stopped(watch.code, resumable, [])
            return self._failed(error)

    def _failed(self, error: Exception) -> int:
        if isinstance(error, KDError):
            return self.fail(error.kind, error.message, error.exit_code, hint=error.hint, details=error.details)
        if isinstance(error, BrokenPipeError):  # the reader of the pipe has ended, as in `kd … | head`
            return BROKEN_PIPE
        if isinstance(error, OSError) and error.errno in _MACHINE | _WRONG_PATH:
            return self._machine(error)
        return self._bug(error)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Context in which a line is printed if the command prints nothing for some time; not with -q."""
        if self.quiet or self._mute or os.environ.get("KD_NO_PROGRESS") == "1":
            yield
            return
        self._alive = Alive(self._talk, live=sys.stderr.isatty())
        self._alive.start()
        try:
            yield
        finally:
            self._alive.stop()
            self._alive = None

    def fail(
        self, kind: str, message: str, code: int, *, hint: str | None = None, details: dict[str, Any] | None = None
    ) -> int:
        """Print an error and its hint; returns the exit code. Of several processes only the first prints it."""
        if self._progress:
            self._progress.finish()
        if self._mute and kind != "Bug" and "process" not in (details or {}):  # these may happen in this process only
            return code
        if self.verbose > 1 or os.environ.get("KD_DEBUG") == "1":
            import traceback

            # Every line is marked, so that a name in it cannot look like a message of kd.
            lines = traceback.format_exc().rstrip().split("\n")
            self._talk("\n".join(f"  | {on_a_line(line)}" for line in lines))
        mistakes: Sequence[str] = (details or {}).get("mistakes", ())
        if self.json:
            known = {
                "code": code,
                "kind": kind,
                "message": "\n  ".join([message, *mistakes]),
                "hint": hint,
                "details": details or {},
            }
            self._talk(_json({"v": 1, "type": "error", **known}, sys.stderr, str))
        elif self.quiet < 2:
            head = "" if kind == "Stopped" else f"{self.paint('error', 'error:', sys.stderr)} "
            self._talk(f"{head}{on_a_line(message)}")
            for mistake in mistakes:
                self._talk(f"  {on_a_line(mistake)}")
            if hint:
                self._talk(f"\n{self.paint('hint', 'hint:', sys.stderr)} {on_a_line(hint)}")
        return code

    def _stopped(self, code: int, resumable: bool, ways_on: Sequence[str]) -> int:
        """Report a signal, with the command that resumes the work: a given one, or the same command again."""
        watch.announced = True
        if ways_on:
            return self.fail("Stopped", "stopped", code, hint=ways_on[0])
        again = self._command_line()
        message = "stopped; every finished part is kept" if resumable else "stopped"
        return self.fail("Stopped", message, code, hint=f"resume with: {again}" if resumable else None)

    def _machine(self, error: OSError) -> int:
        """Report an operating system error about disk, permissions or a path that nothing has explained before."""
        where = f": {error.filename}" if error.filename else ""
        if error.errno in _WRONG_PATH:
            return self.fail(
                "UsageError", f"{error.strerror}{where}", UsageError.exit_code, hint="choose another place"
            )
        hint = "free some space or choose another folder; finished parts are safe"
        return self.fail("StorageError", f"{error.strerror}{where}", StorageError.exit_code, hint=hint)

    def _bug(self, error: Exception) -> int:
        import tempfile
        import traceback

        name = None
        with suppress(OSError):  # the disk may be full
            handle, name = tempfile.mkstemp(prefix="kd-traceback-", suffix=".txt")
            with open(handle, "w", encoding="utf-8") as file:
                file.write(f"{self._command_line()}\n\n")
                traceback.print_exception(error, file=file)
        hint = (
            f"this is a bug in kd; its traceback is in {name}"
            if name
            else "this is a bug in kd; -vv shows its traceback"
        )
        return self.fail("Bug", f"{type(error).__name__}: {error}", 1, hint=hint, details={"traceback": name})

    def _command_line(self) -> str:
        import shlex

        return shlex.join(["kd", *self._arguments])

    def _before_output(self) -> None:
        if self._alive:
            self._alive.before_output()

    def _talk(self, text: str) -> None:
        self._before_output()
        sys.stderr.write(shown(text, colored=self.colored(sys.stderr)) + "\n")
        sys.stderr.flush()


def _json(data: Any, stream: Any, default: Callable[[Any], str] | None = None) -> str:
    """JSON in one line; characters outside the encoding of the stream are escaped."""
    wide = (stream.encoding or "").lower().replace("-", "") == "utf8"
    return plain_json(json.dumps(data, ensure_ascii=not wide, default=default))
