"""What a command says: the answer to stdout, talk to stderr, a failure as one clear line with a way out and an exit code."""

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
    """The one voice of a command. Everything but `answer` goes to stderr, and nothing goes out but through `shown`."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = list(arguments)
        self.json = "--json" in arguments
        self.quiet = 0
        self.verbose = 0
        self.given: frozenset[str] = frozenset()
        """parameters that the command line named, whatever their value"""
        # torchrun starts the same command several times; the first process speaks for all of them.
        self._mute = os.environ.get("RANK", "0") != "0"
        self._color: Color = "auto"
        self._progress: Progress | None = None
        self._alive: Alive | None = None

    def configure(self, *, json: bool, quiet: int, verbose: int, color: Color) -> None:
        """Take over what the command line said."""
        self.json, self.quiet, self.verbose, self._color = json, quiet, verbose, color

    def answer(self, data: Any, text: str) -> None:
        """The result of the command: one JSON document with --json, else text for people. Once a command."""
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
            message = f"cannot write the answer to stdout: {error.strerror}"
            raise StorageError(message, hint="what was done stays done; send stdout to a place with room") from error

    def note(self, text: str) -> None:
        """Something worth knowing, one line; not with -q."""
        if not self.quiet and not self._mute:
            self._talk(on_a_line(text))

    def detail(self, text: str) -> None:
        """Something only the curious want: shown with -v."""
        if self.verbose:
            self._talk(on_a_line(text))

    def warn(self, text: str) -> None:
        """Something that may be wrong; not with -qq."""
        if self.quiet < 2:
            self._talk(f"{self.paint('warning', 'warning:', sys.stderr)} {on_a_line(text)}")

    def hint(self, text: str) -> None:
        """Print how to continue after a failure that is part of the answer; nothing with -q."""
        if not self.quiet and not self._mute:
            self._talk(f"\n{self.paint('hint', 'hint:', sys.stderr)} {on_a_line(text)}")

    def doing(self, what: str) -> None:
        """What is done from now on, should it take long."""
        if self._alive:
            self._alive.doing(what)

    def hold(self, held: bool) -> None:
        """A bar moves from now on, or does no more."""
        if self._alive:
            self._alive.hold(held)

    def progress(self) -> Progress:
        """Where long work reports to."""
        from cli.progress import show_progress

        if self._progress:
            self._progress.finish()
        self._progress = show_progress(self)
        return self._progress

    def paint(self, style: str, text: str, stream: Any = None) -> str:
        """Text in colour where the stream shows colours; the words alone must be enough."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self.colored(stream or sys.stdout) else text

    def colored(self, stream: Any) -> bool:
        """Does this stream get colours?"""
        if self._color != "auto":
            return self._color == "always"
        return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"

    def guard(self, work: Callable[[], int | None], *, resumable: bool = False, watched: bool = True) -> int:
        """Run a command; whatever happens becomes an exit code and a clear line. `watched`: its silence is broken."""
        try:
            with self._watched() if watched else nullcontext():
                return work() or 0
        except KeyboardInterrupt as stop:
            code = stop.code if isinstance(stop, Stop) else INTERRUPTED
            return self._stopped(code, resumable, getattr(stop, "__notes__", []))
        except Exception as error:  # noqa: BLE001  (the one place that turns our own bugs into a line and a file)
            if watch.code is not None:  # what fails after a signal fails because of it
                return self._stopped(watch.code, resumable, [])
            return self._failed(error)

    def _failed(self, error: Exception) -> int:
        if isinstance(error, KDError):
            return self.fail(error.kind, error.message, error.exit_code, hint=error.hint, details=error.details)
        if isinstance(error, BrokenPipeError):  # the reader has gone, as in `kd … | head`
            return BROKEN_PIPE
        if isinstance(error, OSError) and error.errno in _MACHINE | _WRONG_PATH:
            return self._machine(error)
        return self._bug(error)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Silence is broken meanwhile, unless nobody wants to hear."""
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
        """Say what went wrong and how to go on; the exit code comes back. One of several processes says it for all."""
        if self._progress:
            self._progress.finish()
        if self._mute and kind != "Bug" and "process" not in (details or {}):  # these may be in one process alone
            return code
        if self.verbose > 1 or os.environ.get("KD_DEBUG") == "1":
            import traceback

            # Marked line by line: a name in it cannot pass for what kd itself says.
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
        """A signal: what is sealed stays. The same command goes on, or the one that came with the signal."""
        watch.announced = True
        if ways_on:
            return self.fail("Stopped", "stopped", code, hint=ways_on[0])
        again = self._command_line()
        message = "stopped; every finished part is kept" if resumable else "stopped"
        return self.fail("Stopped", message, code, hint=f"resume with: {again}" if resumable else None)

    def _machine(self, error: OSError) -> int:
        """The disk, its permissions or a path are in the way, at a place that had no better words for it."""
        where = f": {error.filename}" if error.filename else ""
        if error.errno in _WRONG_PATH:
            return self.fail(
                "UsageError", f"{error.strerror}{where}", UsageError.exit_code, hint="choose another place"
            )
        hint = "make room or choose another place; what was sealed before is safe"
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
    """One line; letters that the stream has no code for stand there as JSON writes them in ASCII."""
    wide = (stream.encoding or "").lower().replace("-", "") == "utf8"
    return plain_json(json.dumps(data, ensure_ascii=not wide, default=default))
